/** What `inspect` and `filter` have in common: which data, and the model whose tokens are counted. */

import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { RecordFormat } from '../core/data.js';
import { LabError } from '../core/errors.js';
import type { AnalysisOptions } from '../data/view/index.js';
import { findModel } from '../train/model-folder.js';
import { collect } from './commands/train.js';

export interface DataFlags {
  readonly format: RecordFormat | 'auto';
  readonly promptField?: string;
  readonly completionField?: string;
  readonly systemField?: string;
  readonly messagesField?: string;
  readonly eval: readonly string[];
  readonly label: readonly string[];
  readonly model?: string;
  readonly chatTemplate?: string;
  readonly promptPrefix: string;
  readonly instructionResponseSeparator: string;
  readonly maxLength: number;
  readonly lossOn: 'completion' | 'all';
}

export function addDataFlags(command: Command): Command {
  const formats = ['auto', 'alpaca', 'sharegpt', 'messages', 'custom', 'text'];
  return command
    .addOption(new Option('--format <format>', 'record format').choices(formats).default('auto'))
    .option('--prompt-field <name>', 'field of custom records that holds the prompt')
    .option('--completion-field <name>', 'field of custom records that holds the answer')
    .option('--system-field <name>', 'field that holds the system prompt')
    .option('--messages-field <name>', 'field that holds the list of messages')
    .option('--eval <file>', 'evaluation set whose prompts must not stand in the data set (repeatable)', collect, [])
    .option('--label <label>', 'an allowed answer (repeatable); left out, labels are found', collect, [])
    .option('--model <folder>', 'model whose tokenizer and template count tokens, or its name in the cache')
    .option('--chat-template <file>', "Jinja template that replaces the model's own")
    .option('--prompt-prefix <text>', 'text before the prompt, for models without a template', '')
    .option('--instruction-response-separator <text>', 'text between prompt and answer, without a template', '\n\n')
    .option('--max-length <tokens>', 'tokens of a sequence', wholeFrom(1), 1024)
    .addOption(
      new Option('--loss-on <part>', 'what is trained on').choices(['completion', 'all']).default('completion'),
    );
}

export const wholeFrom = (least: number) => (value: string) => {
  const number = Number(value);
  if (!Number.isInteger(number) || number < least)
    throw new InvalidArgumentError(`expected a whole number from ${least} on.`);
  return number;
};

/** @throws LabError where the model or the template is not there */
export async function analysisOptions(dataset: string, flags: DataFlags): Promise<AnalysisOptions> {
  const { promptField, completionField, systemField, messagesField } = flags;
  const fields = {
    ...(promptField === undefined ? {} : { prompt: promptField }),
    ...(completionField === undefined ? {} : { completion: completionField }),
    ...(systemField === undefined ? {} : { system: systemField }),
    ...(messagesField === undefined ? {} : { messages: messagesField }),
  };
  return {
    path: resolve(dataset),
    format: flags.format,
    ...(Object.keys(fields).length === 0 ? {} : { fields }),
    evaluation: flags.eval.map((path) => resolve(path)),
    ...(flags.label.length === 0 ? {} : { labels: flags.label }),
    ...(flags.model === undefined ? {} : { model: await modelOptions(flags.model, flags) }),
  };
}

async function modelOptions(model: string, flags: DataFlags): Promise<NonNullable<AnalysisOptions['model']>> {
  const { chatTemplate, promptPrefix, instructionResponseSeparator, maxLength, lossOn } = flags;
  return {
    modelDirectory: await findModel(model, process.cwd()),
    ...(chatTemplate === undefined ? {} : { chatTemplate: await readTemplate(resolve(chatTemplate)) }),
    promptPrefix,
    instructionResponseSeparator,
    maxLength,
    lossOn,
  };
}

async function readTemplate(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new LabError('cannot be read', {
      place: { file },
      advice: cause instanceof Error ? cause.message : String(cause),
      cause,
    });
  }
}

/** Ctrl-C stops the work. */
export async function stoppable<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const interrupt = (): void => stop.abort(new LabError('interrupted; nothing was written'));
  process.once('SIGINT', interrupt);
  try {
    return await work(stop.signal);
  } finally {
    process.off('SIGINT', interrupt);
  }
}

/** `sft-lab generate MODEL`: what a model, a checkpoint, an adapter or a run says to prompts, or to the records of a data set. */

import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { text as readAll } from 'node:stream/consumers';
import { type Command, InvalidArgumentError } from 'commander';
import { LabError } from '../../core/errors.js';
import { computesInBf16 } from '../../core/features.js';
import { openTrainingData } from '../../data/index.js';
import type { PromptExample, TrainingData } from '../../data/types.js';
import { devices, isOutOfMemory, openModel } from '../../engine/index.js';
import type { Generated } from '../../engine/types.js';
import { newestGoodCheckpoint } from '../../runs/checkpoints.js';
import { runsByActivity } from '../../runs/list.js';
import { exists, openRun, type Run } from '../../runs/run-folder.js';
import { answerText } from '../../train/answers.js';
import { microbatches } from '../../train/batching.js';
import { busyAnswers, generateEach } from '../../train/generate.js';
import { findModel, foldersOf, isStoredInBf16, type ModelFolders } from '../../train/model-folder.js';
import { chooseDevice } from '../../train/open-model.js';
import { asUsage } from '../failure.js';
import { printable, type Terminal } from '../terminal.js';
import { makeTerminal } from './report.js';
import { collect } from './train.js';

interface GenerateFlags {
  readonly prompt: readonly string[];
  readonly dataset?: string;
  readonly maxSamples: number;
  readonly maxNewTokens: number;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly seed: number;
  readonly batchSize?: number;
  readonly bf16?: boolean;
  readonly device: string;
  readonly threads: number;
  readonly chatTemplate?: string;
  readonly promptPrefix?: string;
  readonly instructionResponseSeparator?: string;
  readonly outputDir: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

const whole = (least: number) => (value: string) => {
  const number = Number(value);
  if (!Number.isInteger(number) || number < least)
    throw new InvalidArgumentError(`expected a whole number from ${least} on.`);
  return number;
};

const real = (least: number, most: number) => (value: string) => {
  const number = Number(value);
  if (value.trim() === '' || !(number >= least && number <= most)) {
    throw new InvalidArgumentError(`expected a number from ${least}${Number.isFinite(most) ? ` to ${most}` : ' on'}.`);
  }
  return number;
};

export function addGenerate(program: Command): void {
  program
    .command('generate')
    .description('Lets a model answer prompts, or the records of a data set.')
    .argument('<model>', 'folder of a model, a checkpoint, an adapter or a run; or `latest`: the run active last')
    .option('-p, --prompt <text>', 'a prompt; may be repeated; left out: standard input', collect, [])
    .option('--dataset <file>', 'answer the records of this file')
    .option('--max-samples <n>', 'records of the data set to answer; 0: all', whole(0), 0)
    .option('--max-new-tokens <n>', 'longest answer in tokens', whole(1), 256)
    .option('--temperature <t>', '0: always the most likely token', real(0, Number.POSITIVE_INFINITY), 0)
    .option('--top-k <k>', 'draw from the k most likely tokens; 0: off', whole(0), 0)
    .option('--top-p <p>', 'draw from the most likely tokens that make up p; 1: off', real(0, 1), 1)
    .option('--seed <n>', 'seed of the draws', whole(0), 42)
    .option('--batch-size <n>', 'prompts at a time; left out: 32, on a GPU 64', whole(1))
    .option('--device <id>', '`auto`, `cpu` or `cuda:0`', 'auto')
    .option(
      '--bf16',
      "compute in bfloat16; left out: as the run did, or as the model's weights are, where the device can",
    )
    .option('--no-bf16', 'compute in float32')
    .option('--threads <n>', 'threads of the CPU; 0: one for each core', whole(0), 0)
    .option('--chat-template <file>', "a Jinja template that replaces the model's own")
    .option('--prompt-prefix <text>', "text before a prompt, without a chat template; standard: the run's")
    .option(
      '--instruction-response-separator <text>',
      "text after a prompt, without a chat template; standard: the run's",
    )
    .option('--output-dir <folder>', 'where `latest` looks', '.sft')
    .option('--json', 'print one JSON object a prompt, with tokens and entropies')
    .option('--quiet', 'print answers only')
    .action((name: string, flags: GenerateFlags) => withAdvice(generate(name, flags)));
}

async function generate(name: string, flags: GenerateFlags): Promise<void> {
  const { folders, run } = await asUsage(async () => {
    const found = await findFolder(name, resolve(flags.outputDir));
    return { folders: await foldersOf(found.directory), run: found.run };
  });
  const terminal = makeTerminal(false);
  const data = await openTokens(folders, run, flags, new AbortController().signal);
  try {
    const prompts = await readPrompts(data, flags);
    const device = await chooseDevice(flags.device);
    const can = computesInBf16(devices().find(({ id }) => id === device)?.features);
    const bf16 = flags.bf16 ?? (can && (run?.config.bf16 ?? (await isStoredInBf16(folders.base))));
    const model = await openModel({
      directory: folders.base,
      device,
      precision: bf16 ? 'bf16' : 'fp32',
      threads: flags.threads,
      seed: flags.seed,
      mode: 'infer',
      ...(folders.adapter === undefined ? {} : { adapter: folders.adapter }),
    });
    try {
      const size = flags.batchSize ?? busyAnswers(device);
      let asked = 0;
      for (const batch of microbatches(prompts, size)) {
        for (const { prompt } of batch) {
          if (prompt.length < model.info.maxPositions) continue;
          throw new LabError(
            `a prompt of ${prompt.length} tokens fills the model's ${model.info.maxPositions} positions`,
            { advice: 'Shorten the prompt.' },
          );
        }
        const first = flags.seed + asked;
        asked += batch.length;
        const { maxNewTokens, temperature, topK, topP } = flags;
        const answers = await generateEach(
          model,
          batch.map(({ prompt }) => prompt),
          batch.map((_, i) => first + i),
          { maxNewTokens, temperature, topK, topP, stopTokens: data.stopTokens },
        );
        for (const [i, prompt] of batch.entries()) {
          const answer = answers[i];
          if (answer !== undefined)
            await print(data, prompt, answer, flags, prompts.length > 1 ? 'several' : 'one', terminal);
        }
      }
    } finally {
      await model.close();
    }
  } finally {
    await data.close();
  }
}

/** What of training's advice is not meant for one who asks. */
async function withAdvice(generated: Promise<void>): Promise<void> {
  try {
    await generated;
  } catch (error) {
    if (!isOutOfMemory(error)) throw error;
    const advice = 'Lower --batch-size or --max-new-tokens, or choose another --device.';
    throw new LabError('not enough memory', { advice, cause: error });
  }
}

/** A run stands for its newest checkpoint; a checkpoint knows its run by where it stands. */
async function findFolder(name: string, outputDirectory: string): Promise<{ directory: string; run: Run | undefined }> {
  let folder = name;
  if (name === 'latest') {
    const latest = (await runsByActivity(outputDirectory))[0];
    if (latest === undefined) throw new LabError('no runs here', { place: { file: outputDirectory } });
    folder = latest;
  }
  if (await exists(join(folder, 'run.json'))) {
    const run = await openRun(folder);
    const { checkpoint } = await newestGoodCheckpoint(run.checkpoints);
    if (checkpoint === undefined)
      throw new LabError('this run has no checkpoint yet', { place: { file: run.directory } });
    return { directory: checkpoint.directory, run };
  }
  const directory = await findModel(folder, process.cwd());
  const above = dirname(dirname(directory));
  return { directory, run: (await exists(join(above, 'run.json'))) ? await openRun(above) : undefined };
}

async function openTokens(
  folders: ModelFolders,
  run: Run | undefined,
  flags: GenerateFlags,
  signal: AbortSignal,
): Promise<TrainingData> {
  const chatTemplate = flags.chatTemplate === undefined ? undefined : await readFile(flags.chatTemplate, 'utf8');
  return openTrainingData(
    {
      modelDirectory: folders.tokenizer,
      ...(chatTemplate === undefined ? {} : { chatTemplate }),
      promptPrefix: flags.promptPrefix ?? run?.config.prompt_prefix ?? '',
      instructionResponseSeparator:
        flags.instructionResponseSeparator ?? run?.config.instruction_response_separator ?? '\n\n',
      train: [],
      evaluation: flags.dataset === undefined ? {} : { data: [{ path: resolve(flags.dataset), format: 'auto' }] },
      testSize: 0,
      lossOn: 'completion',
      maxLength: Number.MAX_SAFE_INTEGER,
      onBadRecord: 'stop',
      streaming: false,
      shuffle: false,
      shuffleBufferSize: 1,
      seed: flags.seed,
      maxTrainSamples: 0,
      maxEvalSamples: flags.maxSamples,
    },
    signal,
  );
}

async function readPrompts(data: TrainingData, flags: GenerateFlags): Promise<readonly PromptExample[]> {
  if (flags.dataset !== undefined) return data.evaluation.flatMap(({ prompts }) => prompts);
  if (flags.prompt.length > 0) return data.encodePrompts(flags.prompt);
  if (process.stdin.isTTY === true) {
    throw new LabError('no prompt', {
      advice: 'Give --prompt TEXT or --dataset FILE, or write the prompt to standard input.',
    });
  }
  return data.encodePrompts([(await readAll(process.stdin)).replace(/\r?\n$/, '')]);
}

async function print(
  data: TrainingData,
  prompt: PromptExample,
  generated: Generated,
  flags: GenerateFlags,
  count: 'one' | 'several',
  terminal: Terminal,
): Promise<void> {
  const answer = await answerText(data, generated);
  if (flags.json === true) {
    const record = {
      prompt: prompt.promptText,
      ...(flags.dataset === undefined ? {} : { line: prompt.place.line, reference: prompt.reference }),
      answer,
      finish: generated.finish,
      tokens: [...generated.tokens],
      entropies: [...generated.entropies],
      logProbabilities: [...generated.logProbabilities],
    };
    process.stdout.write(`${JSON.stringify(record)}\n`);
    return;
  }
  if (count === 'several' && flags.quiet !== true) terminal.line(['bold', `> ${printable(prompt.promptText, '\n\t')}`]);
  terminal.line(printable(answer, '\n\t'));
}

/** Model folders and reference data for the tests of data. */

import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';
import { z } from 'zod';
import type { Example } from '../../../src/core/data.js';
import { RecordProblem, toExample } from '../../../src/data/read/formats.js';
import { ExampleTokenizer } from '../../../src/data/text/examples.js';
import type { TrainingDataOptions } from '../../../src/data/types.js';

const fixtures = fileURLToPath(new URL('../../fixtures/', import.meta.url));
const folders: string[] = [];

afterAll(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sft-lab-data-'));
  folders.push(folder);
  return folder;
}

/** A file of its own folder with this content. */
export function fileWith(content: string | Uint8Array, name = 'data.jsonl'): string {
  const file = join(temporaryFolder(), name);
  writeFileSync(file, content);
  return file;
}

export function jsonl(records: readonly unknown[]): string {
  return records.map((record) => `${JSON.stringify(record)}\n`).join('');
}

export type TokenizerName = 'qwen' | 'llama3' | 'llama2';

export function templateText(name: string): string {
  return readFileSync(join(fixtures, 'data', 'templates', `${name}.jinja`), 'utf8');
}

export const tokenizerFolder = (name: TokenizerName): string => join(fixtures, 'tokenizers', name);

export const plainOptions = { promptPrefix: '', instructionResponseSeparator: '\n\n' };

/** Templates of files end in a line end that the tokenizer configs of real models do not have; Jinja drops it. */
export function exampleTokenizer(tokenizer: TokenizerName, template?: string): ExampleTokenizer {
  return new ExampleTokenizer({
    modelDirectory: tokenizerFolder(tokenizer),
    ...plainOptions,
    ...(template === undefined ? {} : { chatTemplate: template }),
  });
}

/** A copy of a tokenizer's folder with other files beside it. */
export function modelFolder(tokenizer: TokenizerName, files: Readonly<Record<string, string>> = {}): string {
  const folder = temporaryFolder();
  for (const name of ['tokenizer.json', 'tokenizer_config.json']) {
    copyFileSync(join(tokenizerFolder(tokenizer), name), join(folder, name));
  }
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  return folder;
}

/** A `messages` record as an example. */
export function chat(messages: readonly unknown[], tools?: unknown): Example {
  const place = { file: 'test.jsonl', index: 0, line: 1 };
  const result = toExample({ messages, ...(tools === undefined ? {} : { tools }) }, 'messages', undefined, place);
  if (result instanceof RecordProblem) throw new Error(`${result.field}: ${result.message}`);
  return result.example;
}

export function trainingOptions(
  options: Partial<TrainingDataOptions> & Pick<TrainingDataOptions, 'train'>,
): TrainingDataOptions {
  return {
    modelDirectory: tokenizerFolder('qwen'),
    chatTemplate: templateText('chatml'),
    ...plainOptions,
    evaluation: {},
    testSize: 0,
    lossOn: 'completion',
    maxLength: 512,
    onBadRecord: 'stop',
    streaming: false,
    shuffle: true,
    shuffleBufferSize: 16,
    seed: 42,
    maxTrainSamples: 0,
    maxEvalSamples: 0,
    ...options,
  };
}

const tokenizerNames = z.enum(['qwen', 'llama3', 'llama2']);
const referenceSchema = z.object({
  conversations: z.record(z.string(), z.array(z.record(z.string(), z.unknown()))),
  cases: z.array(
    z.union([
      z.object({ template: z.string(), tokenizer: tokenizerNames, conversation: z.string(), refused: z.string() }),
      z.object({
        template: z.string(),
        tokenizer: tokenizerNames,
        conversation: z.string(),
        text: z.string(),
        ids: z.array(z.number()),
        mask: z.string(),
        prompt: z.array(z.number()),
      }),
    ]),
  ),
});

export function reference(): z.infer<typeof referenceSchema> {
  return referenceSchema.parse(JSON.parse(readFileSync(join(fixtures, 'data', 'reference.json'), 'utf8')));
}

export function encodedTexts(): Record<TokenizerName, { text: string; ids: number[] }[]> {
  const entry = z.array(z.object({ text: z.string(), ids: z.array(z.number()) }));
  const schema = z.object({ qwen: entry, llama3: entry, llama2: entry });
  return schema.parse(JSON.parse(readFileSync(join(fixtures, 'data', 'encoded.json'), 'utf8')));
}

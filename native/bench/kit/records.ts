/** Data sets of prompts and completions whose lengths in tokens are known, because every word is one token. */

import { writeFile } from 'node:fs/promises';
import { words } from './model.js';
import { Random } from './random.js';

export interface RecordsOptions {
  readonly count: number;
  /** Of every so many records in a row, each draws its length from another part of the bounds: steps are of like size. */
  readonly group: number;
  /** Tokens of a record, with the end token, drawn evenly from these bounds. */
  readonly shortest: number;
  readonly longest: number;
  /** Share of a record's tokens that are its completion. */
  readonly completion: number;
  readonly vocabulary: number;
  readonly seed: number;
}

/** Tokens of a record, and those of them that are trained on: the completion's words and the end token. */
export interface RecordSize {
  readonly tokens: number;
  readonly lossTokens: number;
}

interface BenchRecord {
  readonly prompt: string;
  readonly completion: string;
}

/** Frequent words are much more frequent than rare ones, so that a few steps already lower the loss. */
export function makeRecords(options: RecordsOptions): { records: BenchRecord[]; sizes: RecordSize[] } {
  const vocabulary = words(options.vocabulary);
  const random = new Random(options.seed);
  const sizes: RecordSize[] = [];
  const text = (count: number) =>
    Array.from({ length: count }, () => ` ${vocabulary[Math.floor(random.next() ** 4 * vocabulary.length)]}`).join('');
  const { shortest, longest, group } = options;
  let parts: number[] = [];
  const records = Array.from({ length: options.count }, () => {
    if (parts.length === 0) parts = random.shuffled(Array.from({ length: group }, (_, i) => i));
    const part = ((parts.pop() ?? 0) + random.next()) / group;
    const tokens = shortest + Math.floor(part * (longest - shortest + 1));
    const lossTokens = Math.max(2, Math.round(tokens * options.completion));
    sizes.push({ tokens, lossTokens });
    return { prompt: text(tokens - lossTokens), completion: text(lossTokens - 1) };
  });
  return { records, sizes };
}

/** Writes the records as JSONL. Returns their sizes. */
export async function writeRecords(path: string, options: RecordsOptions): Promise<RecordSize[]> {
  const { records, sizes } = makeRecords(options);
  await writeFile(path, records.map((record) => `${JSON.stringify(record)}\n`).join(''));
  return sizes;
}

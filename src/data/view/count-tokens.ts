/** Exact counts of tokens of one part of a data set, as the trainer will make them. Parts of JSONL are counted by several workers at once. */

import { closeSync, fstatSync, openSync } from 'node:fs';
import type { RecordFormat } from '../../core/data.js';
import { LabError } from '../../core/errors.js';
import { formatInFile, RecordProblem, toExample } from '../read/formats.js';
import { type RawRecord, readRecords } from '../read/records.js';
import { ExampleTokenizer } from '../text/examples.js';
import type { AnalysisOptions, TokenFigures } from './analyse.js';
import { lengthBin, lengthBins } from './histogram.js';
import type { Beat } from './jobs.js';
import { LineReader, lineStart } from './line-reader.js';

export interface CountTask {
  readonly path: string;
  readonly format: RecordFormat | 'auto';
  readonly fields?: AnalysisOptions['fields'];
  readonly model: NonNullable<AnalysisOptions['model']>;
  /** The lines of plain JSONL that begin in these bytes; left out, the whole data set. `start`: where the first line begins. */
  readonly part?: { readonly from: number; readonly to: number; readonly start: number };
}

/** The figures, and how many records gave them. */
export interface TokenCounts extends TokenFigures {
  readonly records: number;
  readonly unusable: number;
}

export async function countTokens(task: CountTask, beat: Beat): Promise<TokenCounts> {
  const { model, part } = task;
  const tokenizer = new ExampleTokenizer(model);
  const bins = new Float64Array(lengthBins);
  let home: RecordFormat | undefined;
  let onlyText = true;
  let [records, unusable, tokens, lossTokens, truncatedRecords, truncatedTokens] = [0, 0, 0, 0, 0, 0];
  for await (const record of part === undefined ? readRecords(task.path) : recordsOf(task.path, part, beat)) {
    beat.row(record.place.index);
    const example = 'problem' in record ? undefined : exampleOf(record.value, record.place, task, home);
    if (example === undefined) {
      unusable++;
      continue;
    }
    home ??= example.format;
    try {
      const made = tokenizer.tokenize(example.example, model.lossOn, model.maxLength);
      records++;
      if (example.format !== 'text') onlyText = false;
      tokens += made.tokens.length;
      for (const one of made.mask) lossTokens += one;
      const bin = lengthBin(made.tokens.length + made.truncated);
      bins[bin] = (bins[bin] ?? 0) + 1;
      if (made.truncated > 0) {
        truncatedRecords++;
        truncatedTokens += made.truncated;
      }
    } catch (error) {
      if (!(error instanceof LabError)) throw error;
      unusable++;
    }
  }
  const maskSource = records > 0 && onlyText ? 'text' : tokenizer.maskSource;
  const { maxLength } = model;
  return { records, unusable, tokens, lossTokens, bins, truncatedRecords, truncatedTokens, maxLength, maskSource };
}

export function mergeCounts(parts: readonly TokenCounts[]): TokenCounts | undefined {
  return parts.reduce<TokenCounts | undefined>((sum, part) => {
    if (sum === undefined) return part;
    return {
      ...part,
      records: sum.records + part.records,
      unusable: sum.unusable + part.unusable,
      tokens: sum.tokens + part.tokens,
      lossTokens: sum.lossTokens + part.lossTokens,
      truncatedRecords: sum.truncatedRecords + part.truncatedRecords,
      truncatedTokens: sum.truncatedTokens + part.truncatedTokens,
      bins: sum.bins.map((count, bin) => count + (part.bins[bin] ?? 0)),
      maskSource: sum.maskSource === 'text' ? part.maskSource : sum.maskSource,
    };
  }, undefined);
}

function exampleOf(
  value: unknown,
  place: RawRecord['place'],
  { format, fields }: CountTask,
  home: RecordFormat | undefined,
) {
  const made = toExample(value, format === 'auto' ? formatInFile(value, fields, home) : format, fields, place);
  return made instanceof RecordProblem ? undefined : made;
}

/** From the first line that begins in the part to the one that begins after it. */
function recordsOf(
  path: string,
  { from, to, start }: NonNullable<CountTask['part']>,
  beat: Beat,
): AsyncGenerator<RawRecord> {
  const fd = openSync(path, 'r');
  try {
    const { size } = fstatSync(fd);
    const part = { from: lineStart(fd, from, start, size), to: lineStart(fd, to, start, size), row: 0, line: 1 };
    return new LineReader().records(path, part, (at) => beat.share(Math.min(1, (at - from) / Math.max(1, to - from))));
  } finally {
    closeSync(fd);
  }
}

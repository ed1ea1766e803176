/**
 * Exact counts of tokens of one part of a data set, as the trainer will make them. Parts of JSONL and of tables are counted by several
 * workers at once.
 */

import { closeSync, fstatSync, openSync } from 'node:fs';
import type { RecordFormat } from '../../core/data.js';
import { LabError } from '../../core/errors.js';
import { formatInFile, RecordProblem, toExample } from '../read/formats.js';
import { fileKind } from '../read/kinds.js';
import { openTable, type RawRecord, readRecords } from '../read/records.js';
import { tableRows, tableWindows } from '../read/table.js';
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
  /** Left out, the whole data set. */
  readonly part?: CountPart;
}

/** The lines of plain JSONL that begin in these bytes (`start`: where the first line begins), or the windows of a table, dealt out. */
export type CountPart =
  | { readonly kind: 'lines'; readonly from: number; readonly to: number; readonly start: number }
  | { readonly kind: 'windows'; readonly nth: number; readonly of: number };

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
  for await (const record of recordsOf(task.path, part, beat)) {
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
      // A part without records tells nothing.
      maskSource:
        part.records === 0 || (sum.records > 0 && sum.maskSource !== 'text') ? sum.maskSource : part.maskSource,
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

function recordsOf(path: string, part: CountPart | undefined, beat: Beat): AsyncGenerator<RawRecord> {
  switch (part?.kind) {
    case undefined:
      return readRecords(path);
    case 'lines':
      return linesOf(path, part, beat);
    case 'windows':
      return windowsOf(path, part, beat);
  }
}

/** From the first line that begins in the part to the one that begins after it. */
function linesOf(
  path: string,
  { from, to, start }: Extract<CountPart, { kind: 'lines' }>,
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

/** Those that begin in the nth part of all rows: they are the same as when one reads them all. */
async function* windowsOf(
  path: string,
  { nth, of }: Extract<CountPart, { kind: 'windows' }>,
  beat: Beat,
): AsyncGenerator<RawRecord> {
  const table = await openTable(await fileKind(path));
  try {
    for (const { row, count } of tableWindows(table, 0, table.rows)) {
      const at = (row * of) / table.rows - nth;
      if (at < 0) continue;
      if (at >= 1) return;
      beat.share(at);
      yield* await tableRows(table, path, row, count);
    }
  } finally {
    await table.close();
  }
}

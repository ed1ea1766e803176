/** A whole data set looked at: what it holds, how long its texts are, and what is wrong with it. */

import type { RecordFormat } from '../../core/data.js';
import { fileSize, readRecords } from '../read/records.js';
import type { FieldMapping, TemplateOptions } from '../types.js';
import { Examiner } from './examine.js';
import { examineAll } from './examine-all.js';
import { Fold } from './fold.js';
import type { Beat } from './jobs.js';
import { type SchemaField, schemaOf } from './json-scan.js';
import type { RowProblemKind } from './problem-kinds.js';
import { openRows } from './rows.js';
import { scanSegment } from './segment.js';
import { checkParts, type Layout, layoutFor } from './segments.js';

export interface AnalysisOptions {
  readonly path: string;
  readonly format: RecordFormat | 'auto';
  readonly fields?: FieldMapping;
  /** Data sets whose prompts must not stand in this one. */
  readonly evaluation: readonly string[];
  /** The allowed answers; left out, they are found where the data has few and short ones. */
  readonly labels?: readonly string[];
  /** With it tokens are counted exactly, as the trainer will make them. */
  readonly model?: TemplateOptions & { readonly maxLength: number; readonly lossOn: 'completion' | 'all' };
  /** Only so many records from the start: the figures are marked as sampled. */
  readonly limit?: number;
}

export interface ProblemRow {
  readonly row: number;
  readonly line: number;
  readonly message: string;
  /** The earlier row that it repeats or contradicts. */
  readonly other?: number;
}

export interface RowProblems {
  readonly kind: RowProblemKind;
  readonly count: number;
  /** The first thousand. */
  readonly rows: readonly ProblemRow[];
}

export interface TokenFigures {
  readonly tokens: number;
  readonly lossTokens: number;
  /** Lengths before truncation. */
  readonly bins: Float64Array;
  readonly truncatedRecords: number;
  readonly truncatedTokens: number;
  readonly maxLength: number;
  readonly maskSource: 'generation' | 'turns' | 'separators' | 'text';
}

export interface Analysis {
  readonly path: string;
  readonly records: number;
  /** Whether these are figures of the first records only. */
  readonly sampled: boolean;
  readonly usable: number;
  readonly bytes: number;
  readonly turns: number;
  readonly turnCounts: Readonly<Record<string, number>>;
  readonly formats: Readonly<Partial<Record<RecordFormat, number>>>;
  readonly schema: readonly SchemaField[];
  /** Lengths of all texts of a record, in characters (UTF-16 units). */
  readonly characters: number;
  readonly bins: Float64Array;
  readonly tokens: TokenFigures | undefined;
  /** Answers with their counts, where the data is of labels. */
  readonly labels: readonly { readonly label: string; readonly count: number }[] | undefined;
  readonly problems: readonly RowProblems[];
  /** Duplicates are looked for among so many records; more are counted as if they were new. */
  readonly duplicatesWithin: number | undefined;
}

/** Smaller sets are looked at where they are: to start threads would take longer. */
const leastShared = 8 * 1024 * 1024;

export async function analyse(options: AnalysisOptions, beat: Beat): Promise<Analysis> {
  return (await analyseWith(options, beat)).analysis;
}

/** @param onProblem told of every problem, however many there are */
export async function analyseWith(
  options: AnalysisOptions,
  beat: Beat,
  onProblem?: (kind: RowProblemKind, row: number) => void,
): Promise<{ readonly analysis: Analysis }> {
  const fold = new Fold(options, onProblem);
  try {
    await fold.readEvaluation(beat);
    const shared = options.limit === undefined && (await fileSize(options.path)) >= leastShared;
    return { analysis: shared ? await analyseShared(options, fold, beat) : await analyseHere(options, fold, beat) };
  } finally {
    fold.close();
  }
}

async function analyseHere(options: AnalysisOptions, fold: Fold, beat: Beat): Promise<Analysis> {
  const examiner = new Examiner(options, true);
  let records = 0;
  let sampled = false;
  for await (const record of readRecords(options.path)) {
    beat.row(record.place.index);
    examiner.add(record);
    if (examiner.count >= 1000) fold.add(examiner.take());
    if (++records === options.limit) {
      sampled = true;
      break;
    }
  }
  fold.add(examiner.take());
  fold.addDuplicateKeys(await duplicateKeys(options.path, fold, beat));
  return fold.finish(sampled, schemaOf([examiner.root]), examiner.maskSource, beat.row);
}

/** What parsing cannot tell any more: keys that stand twice in an object of a line of JSONL. */
async function duplicateKeys(path: string, { bytes, records }: Fold, beat: Beat) {
  const rows = await openRows(path);
  await rows.close();
  const { layout, kind } = rows;
  if (layout?.kind !== 'jsonl' || kind.packing !== 'none') return [];
  // Of a sample not more than its own bytes, with their line ends.
  const to = Math.min(kind.size, layout.start + 2 * (bytes + records));
  const task = { file: path, from: 0, to, start: layout.start, spacing: kind.size + 1, check: true };
  return scanSegment(task, () => beat.row(records)).duplicateKeys.rows;
}

/** By several threads. */
async function analyseShared(options: AnalysisOptions, fold: Fold, beat: Beat): Promise<Analysis> {
  const layout: Layout | undefined = await layoutFor(options.path);
  const env = { beat: (row: number) => beat.row(row) };
  const checked =
    layout === undefined
      ? undefined
      : await checkParts(options.path, layout, { onProgress: ({ row }) => beat.row(row) });
  const examined = examineAll(options, checked?.marks, env);
  for await (const block of examined.blocks) {
    fold.add(block);
    beat.row(fold.records);
  }
  fold.addDuplicateKeys(checked?.duplicateKeys.rows ?? []);
  return fold.finish(false, checked?.schema ?? schemaOf([examined.fields()]), examined.maskSource(), beat.row);
}

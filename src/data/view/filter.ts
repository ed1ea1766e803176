/** The records that a condition chooses: their numbers, in their order or by length, and where asked as a new data set. */

import { LabError } from '../../core/errors.js';
import { normalizeAnswer } from '../../core/metrics.js';
import { type RawRecord, readRecords } from '../read/records.js';
import { type AnalysisOptions, analyseWith } from './analyse.js';
import { Examiner, type Seen } from './examine.js';
import type { Beat } from './jobs.js';
import { lineOf, NewFile } from './new-file.js';
import { type RowProblemKind, rowProblemKinds } from './problem-kinds.js';
import { textOfExample } from './text-problems.js';
import { type Candidate, compileWhere, type TextSubject, type Where } from './where.js';

export interface FilterOptions {
  readonly data: AnalysisOptions;
  readonly where: Where;
  readonly sort?: 'length' | '-length';
  /** A JSONL file to write the chosen records to; there must be none of that name. */
  readonly output?: string;
}

export interface FilterResult {
  readonly records: number;
  /** Rows chosen, from 0, in the order asked for. */
  readonly rows: Uint32Array;
  /** Characters (or tokens, where there is a tokenizer) of each of them. */
  readonly lengths: Uint32Array;
  /** Chosen rows that could not be written, because they cannot be read. */
  readonly unwritten: number;
}

/** @throws LabError where the output exists, or a record takes too long */
export async function filter(options: FilterOptions, beat: Beat): Promise<FilterResult> {
  if (options.output !== undefined) requireLines(options.output);
  // Before a long search, so that it is not for nothing.
  const output = options.output === undefined ? undefined : await NewFile.create(options.output);
  try {
    const result = await search(options, output, beat);
    await output?.finish();
    return result;
  } finally {
    await output?.discard();
  }
}

async function search(options: FilterOptions, output: NewFile | undefined, beat: Beat): Promise<FilterResult> {
  const problems = await findProblems(options, beat);
  const examiner = new Examiner(options.data, false);
  const test = compileWhere(options.where);
  const chosen: { row: number; length: number }[] = [];
  let records = 0;
  let unwritten = 0;
  for await (const record of readRecords(options.data.path, { keepSource: output !== undefined })) {
    beat.row(record.place.index);
    records++;
    const candidate = candidateOf(record, examiner, problems);
    if (!test(candidate)) continue;
    chosen.push({ row: candidate.row, length: candidate.tokens > 0 ? candidate.tokens : candidate.length });
    if ('problem' in record) unwritten++;
    else await output?.writeLine(lineOf(record));
  }
  if (options.sort !== undefined) {
    const sign = options.sort === 'length' ? 1 : -1;
    chosen.sort((a, b) => sign * (a.length - b.length) || a.row - b.row);
  }
  return {
    records,
    rows: Uint32Array.from(chosen, ({ row }) => row),
    lengths: Uint32Array.from(chosen, ({ length }) => length),
    unwritten,
  };
}

type ProblemRows = ReadonlyMap<RowProblemKind, ReadonlySet<number>>;

/** Which rows have the problems that the condition asks for: that takes a look at all records first. */
async function findProblems({ data, where }: FilterOptions, beat: Beat): Promise<ProblemRows> {
  const kinds = problemKinds(where);
  const rows = new Map<RowProblemKind, Set<number>>();
  if (kinds.length === 0) return rows;
  for (const kind of kinds) rows.set(kind, new Set());
  await analyseWith(data, beat, (kind, row) => rows.get(kind)?.add(row));
  return rows;
}

function problemKinds(where: Where): readonly RowProblemKind[] {
  switch (where.kind) {
    case 'and':
    case 'or':
      return [...new Set([...problemKinds(where.left), ...problemKinds(where.right)])];
    case 'not':
      return problemKinds(where.inner);
    case 'problem':
      return where.problem === 'any' ? rowProblemKinds : [where.problem];
    default:
      return [];
  }
}

function candidateOf(record: RawRecord, examiner: Examiner, problems: ProblemRows): Candidate {
  const row = record.place.index;
  const seen = examiner.read(record);
  return {
    row,
    value: 'problem' in record ? undefined : record.value,
    format: seen?.format ?? '',
    turns: seen?.example.kind === 'chat' ? seen.example.messages.length : 0,
    tokens: seen?.tokenized?.tokens.length ?? 0,
    length: seen === undefined ? 0 : textOfExample(seen.example).length,
    text: (subject) => (seen === undefined ? [] : textsOf(seen, subject)),
    hasProblem: (kind) =>
      kind === 'any' ? [...problems.values()].some((rows) => rows.has(row)) : (problems.get(kind)?.has(row) ?? false),
  };
}

function textsOf({ example, format }: Seen, subject: TextSubject): readonly string[] {
  if (subject === 'format') return [format];
  if (example.kind === 'text') return subject === 'text' ? [example.text] : [];
  const { messages } = example;
  const last = messages.at(-1);
  switch (subject) {
    case 'text':
      return [textOfExample(example)];
    case 'prompt':
      return messages.findLast(({ role }) => role === 'user')?.content === undefined
        ? []
        : [messages.findLast(({ role }) => role === 'user')?.content ?? ''];
    case 'completion':
      return last?.role === 'assistant' ? [last.content] : [];
    case 'label':
      return last?.role === 'assistant' ? [normalizeAnswer(last.content)] : [];
    default:
      return messages.flatMap(({ role, content }) => (role === subject ? [content] : []));
  }
}

function requireLines(path: string): void {
  if (/\.jsonl$/i.test(path)) return;
  throw new LabError('a filtered data set is written as JSONL', {
    place: { file: path },
    advice: 'Give a name that ends in .jsonl.',
  });
}

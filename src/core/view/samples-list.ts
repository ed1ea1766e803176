/** Which of the records of an evaluation set are shown, and in which order: by how the answers changed from evaluation to evaluation. */

import { placeKey, type RecordPlace } from '../data.js';
import { type SetBook, Verdict } from './samples-book.js';

export const promptFilters = [
  'answered',
  'wrong',
  'right',
  'becameRight',
  'becameWrong',
  'flipFlopped',
  'differ',
  'sampled',
  'all',
] as const;
export type PromptFilter = (typeof promptFilters)[number];

export const promptOrders = ['worst', 'best', 'file'] as const;
export type PromptOrder = (typeof promptOrders)[number];

/** A record, and which row it is in the book of each run; undefined where a run has not seen it. */
export interface PromptEntry {
  readonly key: string;
  readonly place: RecordPlace;
  readonly rows: readonly (number | undefined)[];
}

/** The records of all runs, each once, in the order of their files. */
function joinBooks(books: readonly (SetBook | undefined)[]): PromptEntry[] {
  const entries = new Map<string, { key: string; place: RecordPlace; rows: (number | undefined)[] }>();
  for (const [i, book] of books.entries()) {
    for (const [row, place] of book?.places.entries() ?? []) {
      const key = placeKey(place);
      let entry = entries.get(key);
      if (entry === undefined) {
        entry = { key, place, rows: books.map(() => undefined) };
        entries.set(key, entry);
      }
      entry.rows[i] = row;
    }
  }
  const files = new Map<string, number>();
  for (const { place } of entries.values()) if (!files.has(place.file)) files.set(place.file, files.size);
  const rank = ({ file }: RecordPlace): number => files.get(file) ?? 0;
  return [...entries.values()].sort((a, b) => rank(a.place) - rank(b.place) || a.place.index - b.place.index);
}

/** How the answers to one record went, in one run. */
export interface Course {
  /** The first and the last that there is. */
  readonly first: Verdict;
  readonly last: Verdict;
  /** How often right turned into wrong, or wrong into right. */
  readonly changes: number;
  /** At the last evaluation that measured it. */
  readonly loss: number | null;
  /** The last answer; undefined: it never was asked. */
  readonly answer: string | undefined;
  /** Whether there is an answer with tokens and entropies. */
  readonly sampled: boolean;
}

const noCourse: Course = {
  first: Verdict.none,
  last: Verdict.none,
  changes: 0,
  loss: null,
  answer: undefined,
  sampled: false,
};

export function courseOf(book: SetBook | undefined, row: number | undefined): Course {
  if (book === undefined || row === undefined) return noCourse;
  const { points } = book;
  let [first, last]: [Verdict, Verdict] = [Verdict.none, Verdict.none];
  let changes = 0;
  for (const point of points) {
    const verdict = point.verdict(row);
    if (verdict === Verdict.none) continue;
    if (first === Verdict.none) first = verdict;
    else if (verdict !== last) changes++;
    last = verdict;
  }
  let loss: number | null = null;
  let answer: string | undefined;
  for (let i = points.length - 1; i >= 0 && (loss === null || answer === undefined); i--) {
    loss ??= points[i]?.loss(row) ?? null;
    answer ??= points[i]?.answer(row);
  }
  return { first, last, changes, loss, answer, sampled: points.some(({ samples }) => samples.has(row)) };
}

/** One verdict for each evaluation of the set. */
export function verdictsOf(book: SetBook | undefined, row: number | undefined): Verdict[] {
  return book === undefined || row === undefined ? [] : book.points.map((point) => point.verdict(row));
}

/** What is known of the records of all runs; of each evaluation it is gathered once, and every list is made of it. */
export interface PromptTable {
  readonly entries: readonly PromptEntry[];
  /** How the answers of the listed run went. */
  readonly courses: readonly Course[];
  /** Whether the runs do not agree on a record. */
  readonly differ: readonly boolean[];
}

/** @param current which of the books answers, verdicts and losses are taken from */
export function promptTable(books: readonly (SetBook | undefined)[], current: number): PromptTable {
  const entries = joinBooks(books);
  return {
    entries,
    courses: entries.map(({ rows }) => courseOf(books[current], rows[current])),
    differ: entries.map(({ rows }) => books.length > 1 && runsDiffer(books, rows)),
  };
}

const fits: Readonly<Record<Exclude<PromptFilter, 'differ'>, (course: Course) => boolean>> = {
  answered: ({ answer, last }) => answer !== undefined || last !== Verdict.none,
  wrong: ({ last }) => last === Verdict.wrong,
  right: ({ last }) => last === Verdict.right,
  becameRight: ({ first, last }) => first === Verdict.wrong && last === Verdict.right,
  becameWrong: ({ first, last }) => first === Verdict.right && last === Verdict.wrong,
  flipFlopped: ({ changes }) => changes > 1,
  sampled: ({ sampled }) => sampled,
  all: () => true,
};

/** Whether runs that answered do not agree on a record, at their last evaluations. */
function runsDiffer(books: readonly (SetBook | undefined)[], rows: readonly (number | undefined)[]): boolean {
  const found = new Set<Verdict>();
  for (const [i, book] of books.entries()) {
    const { last } = courseOf(book, rows[i]);
    if (last !== Verdict.none) found.add(last);
  }
  return found.size > 1;
}

/** Wrong, not checked, right, and among them the higher loss first; or the other way around. What has no loss is last of its kind. */
function compare(worstFirst: boolean): (a: Course, b: Course) => number {
  const sign = worstFirst ? 1 : -1;
  const rank = ({ last }: Course): number => (last === Verdict.wrong ? 0 : last === Verdict.none ? 1 : 2);
  const nothing = -sign * Number.MAX_VALUE;
  return (a, b) => sign * (rank(a) - rank(b) || (b.loss ?? nothing) - (a.loss ?? nothing));
}

export interface PromptQuery {
  readonly filter: PromptFilter;
  readonly order: PromptOrder;
  /** Found in prompt, reference or answer, in any case; empty: everything. */
  readonly text: string;
}

export interface PromptList {
  /** Indexes of entries, as shown. */
  readonly order: number[];
  /** Records that each filter lets through, of those with the text. */
  readonly counts: Readonly<Record<PromptFilter, number>>;
}

/** @param textOf prompt and reference of an entry, as far as they are known */
export function listPrompts(
  { entries, courses, differ }: PromptTable,
  query: PromptQuery,
  textOf: (entry: PromptEntry) => string,
): PromptList {
  const wanted = query.text.trim().toLowerCase();
  const counts = Object.fromEntries(promptFilters.map((filter) => [filter, 0])) as Record<PromptFilter, number>;
  const order: number[] = [];
  for (const [i, entry] of entries.entries()) {
    const course = courses[i] ?? noCourse;
    if (wanted !== '' && !`${textOf(entry)}\n${course.answer ?? ''}`.toLowerCase().includes(wanted)) continue;
    for (const filter of promptFilters) {
      if (!(filter === 'differ' ? differ[i] === true : fits[filter](course))) continue;
      counts[filter]++;
      if (filter === query.filter) order.push(i);
    }
  }
  const at = (i: number): Course => courses[i] ?? noCourse;
  if (query.order !== 'file') {
    const worse = compare(query.order === 'worst');
    order.sort((a, b) => worse(at(a), at(b)));
  }
  return { order, counts };
}

/**
 * What one look at each record of a part finds, without regard to any other part: in columns, so that a block of some thousand records
 * passes between threads for next to nothing. `Fold` puts blocks together.
 */

import type { RecordFormat } from '../../core/data.js';
import { signatureWords } from './near.js';
import type { RowProblemKind } from './problem-kinds.js';

const formats: readonly RecordFormat[] = ['alpaca', 'sharegpt', 'messages', 'custom', 'text'];
/** Longer answers are no labels; of them only the first are told, cut. */
export const longestLabel = 64;
const toldLongAnswers = 1000;
const toldCharacters = 200;

/** In `labels`: the record ends with no answer, or with one that is too long for a label. */
export const noAnswer = -1;
export const longAnswer = -2;

/** Something wrong with the record at `at` (in its block) that the record alone shows. */
export interface Note {
  readonly at: number;
  readonly kind: RowProblemKind;
  readonly message: string;
}

export interface FactBlock {
  readonly count: number;
  readonly lines: Uint32Array;
  readonly bytes: Uint32Array;
  /** 0 where the record is malformed; see `formatAt`. */
  readonly formats: Uint8Array;
  readonly characters: Uint32Array;
  /** Messages; 0 in records of raw text. */
  readonly turns: Uint32Array;
  /** Hashes of all of it, of its prompt and of its answer. */
  readonly exact: Float64Array;
  readonly prompts: Float64Array;
  readonly answers: Float64Array;
  /** Which of `labelTexts` the answer is, `noAnswer` or `longAnswer`. */
  readonly labels: Int32Array;
  readonly labelTexts: readonly string[];
  /** Of answers that are too long for labels, in their order; the block may hold fewer than there are. */
  readonly longAnswers: readonly string[];
  /** `signatureWords` for each record; they mean something where it has `signed`. */
  readonly signatures: Int32Array;
  readonly signed: Uint8Array;
  /** Tokens of all of the record; -1 where it was not tokenised. */
  readonly tokens: Int32Array;
  /** Lengths of prompt and completion parts in turn, of all records after each other, and where each one's end. */
  readonly runs: Uint32Array;
  readonly runEnds: Uint32Array;
  readonly notes: readonly Note[];
  /** The format of the first good record of the file, where one was met so far. */
  readonly home: RecordFormat | undefined;
}

export function formatAt(block: FactBlock, at: number): RecordFormat | undefined {
  return formats[(block.formats[at] ?? 0) - 1];
}

/** What is found in one record that is good. */
export interface GoodRecord {
  readonly format: RecordFormat;
  readonly characters: number;
  readonly turns: number;
  readonly exact: number;
  readonly signature: Int32Array | undefined;
  /** Hashes, where the record ends with an answer. */
  readonly answer: { readonly prompt: number; readonly answer: number } | undefined;
  readonly tokens: number | undefined;
  readonly runs: readonly number[];
}

/** Numbers that are added one by one, into one array that is used again: objects of each record would outlive their turn and pile up. */
class Column<T extends Float64Array | Uint32Array | Int32Array | Uint8Array> {
  private length = 0;
  private values: T;

  constructor(private readonly make: (size: number) => T) {
    this.values = make(1024);
  }

  get count(): number {
    return this.length;
  }

  push(value: number): void {
    if (this.length === this.values.length) {
      const larger = this.make(2 * this.length);
      larger.set(this.values);
      this.values = larger;
    }
    this.values[this.length++] = value;
  }

  /** Those added since the last call. */
  take(): T {
    const taken = this.make(this.length);
    taken.set(this.values.subarray(0, this.length));
    this.length = 0;
    return taken;
  }
}

const bytes = (size: number): Uint8Array => new Uint8Array(size);
const counts = (size: number): Uint32Array => new Uint32Array(size);
const signed = (size: number): Int32Array => new Int32Array(size);
const hashes = (size: number): Float64Array => new Float64Array(size);

export class FactBuilder {
  private readonly columns = {
    lines: new Column(counts),
    bytes: new Column(counts),
    formats: new Column(bytes),
    characters: new Column(counts),
    turns: new Column(counts),
    exact: new Column(hashes),
    prompts: new Column(hashes),
    answers: new Column(hashes),
    labels: new Column(signed),
    signatures: new Column(signed),
    signed: new Column(bytes),
    tokens: new Column(signed),
    runs: new Column(counts),
    runEnds: new Column(counts),
  };
  private texts = new Map<string, number>();
  private longAnswers: string[] = [];
  private notes: Note[] = [];
  private longTold = 0;

  get count(): number {
    return this.columns.lines.count;
  }

  /** Of the record that is added next. */
  note(kind: RowProblemKind, message: string): void {
    this.notes.push({ at: this.count, kind, message });
  }

  /** @param answer the text of the record's answer, where it ends with one */
  add(line: number, bytes: number, good: GoodRecord | undefined, answer: string | undefined): void {
    const { columns } = this;
    columns.lines.push(line);
    columns.bytes.push(bytes);
    columns.labels.push(answer === undefined ? noAnswer : this.label(answer));
    columns.formats.push(good === undefined ? 0 : formats.indexOf(good.format) + 1);
    columns.characters.push(good?.characters ?? 0);
    columns.turns.push(good?.turns ?? 0);
    columns.exact.push(good?.exact ?? 0);
    columns.prompts.push(good?.answer?.prompt ?? 0);
    columns.answers.push(good?.answer?.answer ?? 0);
    const signature = good?.signature;
    for (let i = 0; i < signatureWords; i++) columns.signatures.push(signature?.[i] ?? 0);
    columns.signed.push(signature === undefined ? 0 : 1);
    columns.tokens.push(good?.tokens ?? -1);
    for (const run of good?.runs ?? []) columns.runs.push(run);
    columns.runEnds.push(columns.runs.count);
  }

  take(home: RecordFormat | undefined): FactBlock {
    const { count, columns, texts, longAnswers, notes } = this;
    this.texts = new Map();
    this.longAnswers = [];
    this.notes = [];
    return {
      count,
      lines: columns.lines.take(),
      bytes: columns.bytes.take(),
      formats: columns.formats.take(),
      characters: columns.characters.take(),
      turns: columns.turns.take(),
      exact: columns.exact.take(),
      prompts: columns.prompts.take(),
      answers: columns.answers.take(),
      labels: columns.labels.take(),
      labelTexts: [...texts.keys()],
      longAnswers,
      signatures: columns.signatures.take(),
      signed: columns.signed.take(),
      tokens: columns.tokens.take(),
      runs: columns.runs.take(),
      runEnds: columns.runEnds.take(),
      notes,
      home,
    };
  }

  private label(text: string): number {
    const { texts, longAnswers } = this;
    if (text.length > longestLabel || text.includes('\n')) {
      if (this.longTold < toldLongAnswers) {
        this.longTold++;
        longAnswers.push(text.slice(0, toldCharacters));
      }
      return longAnswer;
    }
    const known = texts.get(text);
    if (known !== undefined) return known;
    texts.set(text, texts.size);
    return texts.size - 1;
  }
}

/** What need not be copied when a block is sent to another thread. */
export function buffersOf(block: FactBlock): ArrayBuffer[] {
  return Object.values(block).flatMap((column: unknown) =>
    ArrayBuffer.isView(column) && column.buffer instanceof ArrayBuffer && column.byteLength > 0 ? [column.buffer] : [],
  );
}

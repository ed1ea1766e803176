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
  /** `signatureWords` for each record that has `signed`. */
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

interface Row {
  readonly line: number;
  readonly bytes: number;
  readonly good: GoodRecord | undefined;
  readonly label: number;
}

export class FactBuilder {
  private rows: Row[] = [];
  private texts = new Map<string, number>();
  private longAnswers: string[] = [];
  private notes: Note[] = [];
  private runCount = 0;
  private longTold = 0;

  get count(): number {
    return this.rows.length;
  }

  /** Of the record that is added next. */
  note(kind: RowProblemKind, message: string): void {
    this.notes.push({ at: this.rows.length, kind, message });
  }

  /** @param answer the text of the record's answer, where it ends with one */
  add(line: number, bytes: number, good: GoodRecord | undefined, answer: string | undefined): void {
    this.rows.push({ line, bytes, good, label: answer === undefined ? noAnswer : this.label(answer) });
    this.runCount += good?.runs.length ?? 0;
  }

  take(home: RecordFormat | undefined): FactBlock {
    const { rows, notes, texts, longAnswers } = this;
    const { length } = rows;
    const block = {
      count: length,
      lines: new Uint32Array(length),
      bytes: new Uint32Array(length),
      formats: new Uint8Array(length),
      characters: new Uint32Array(length),
      turns: new Uint32Array(length),
      exact: new Float64Array(length),
      prompts: new Float64Array(length),
      answers: new Float64Array(length),
      labels: new Int32Array(length),
      signatures: new Int32Array(length * signatureWords),
      signed: new Uint8Array(length),
      tokens: new Int32Array(length).fill(-1),
      runs: new Uint32Array(this.runCount),
      runEnds: new Uint32Array(length),
    };
    let end = 0;
    for (const [at, { line, bytes, good, label }] of rows.entries()) {
      block.lines[at] = line;
      block.bytes[at] = bytes;
      block.labels[at] = label;
      if (good !== undefined) {
        block.formats[at] = formats.indexOf(good.format) + 1;
        block.characters[at] = good.characters;
        block.turns[at] = good.turns;
        block.exact[at] = good.exact;
        if (good.signature !== undefined) {
          block.signatures.set(good.signature, at * signatureWords);
          block.signed[at] = 1;
        }
        if (good.tokens !== undefined) block.tokens[at] = good.tokens;
        block.runs.set(good.runs, end);
        end += good.runs.length;
        if (good.answer !== undefined) {
          block.prompts[at] = good.answer.prompt;
          block.answers[at] = good.answer.answer;
        }
      }
      block.runEnds[at] = end;
    }
    this.rows = [];
    this.notes = [];
    this.texts = new Map();
    this.longAnswers = [];
    this.runCount = 0;
    return { ...block, labelTexts: [...texts.keys()], longAnswers, notes, home };
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

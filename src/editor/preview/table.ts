/** What the scan keeps of each row, in a few large arrays: some dozen bytes a row, whatever is in it. */

import { countLoss } from '../../core/mask.js';
import { type ProblemKind, problemKinds } from '../../core/view/preview-problems.js';
import type { Mask } from './protocol.js';

const noLabel = 0xffff;
const maxLabels = 4096;

export interface RowFacts {
  /** Tokens, or characters where there is no tokenizer. */
  readonly length: number;
  readonly turns: number;
  /** Lengths of prompt and completion parts in turn; empty without tokens. */
  readonly runs: ArrayLike<number>;
  readonly label: string | undefined;
}

export class RowTable {
  count = 0;
  private lengths = new Uint32Array(1 << 10);
  private turns_ = new Uint16Array(1 << 10);
  private labels_ = new Uint16Array(1 << 10);
  private flags = new Uint16Array(1 << 10);
  /** Where the runs of each row end in `runs`. */
  private ends = new Uint32Array(1 << 10);
  private runs = new Uint32Array(1 << 12);
  private runCount = 0;
  private readonly labelNumbers = new Map<string, number>();

  add({ length, turns, runs, label }: RowFacts): void {
    const row = this.count++;
    this.room(row);
    this.lengths[row] = length;
    this.turns_[row] = Math.min(turns, 0xffff);
    this.labels_[row] = label === undefined ? noLabel : this.numberOf(label);
    if (this.runCount + runs.length > this.runs.length) this.runs = grown(this.runs, this.runCount + runs.length);
    for (let i = 0; i < runs.length; i++) this.runs[this.runCount++] = runs[i] ?? 0;
    this.ends[row] = this.runCount;
  }

  /** May come before the row is added, and after. */
  mark(kind: ProblemKind, row: number): void {
    this.room(row);
    this.flags[row] = (this.flags[row] ?? 0) | (1 << problemKinds.indexOf(kind));
  }

  length(row: number): number {
    return this.lengths[row] ?? 0;
  }

  turns(row: number): number {
    return this.turns_[row] ?? 0;
  }

  hasLabel(row: number, label: string): boolean {
    const number = this.labelNumbers.get(label);
    return number !== undefined && this.labels_[row] === number;
  }

  hasProblem(row: number, kind: ProblemKind, maxLength: number): boolean {
    if (kind === 'truncated') return this.hasRuns(row) && this.length(row) > maxLength;
    return ((this.flags[row] ?? 0) & (1 << problemKinds.indexOf(kind))) !== 0;
  }

  /** Counts under a mask over all rows so far. */
  sums({ lossOn, maxLength }: Mask): {
    tokens: number;
    kept: number;
    loss: number;
    truncated: number;
    longest: number;
    firstTruncated: number[];
  } {
    const sums = { tokens: 0, kept: 0, loss: 0, truncated: 0, longest: 0, firstTruncated: [] as number[] };
    let from = 0;
    for (let row = 0; row < this.count; row++) {
      const end = this.ends[row] ?? 0;
      const length = this.lengths[row] ?? 0;
      if (length > sums.longest) sums.longest = length;
      if (end > from) {
        sums.tokens += length;
        sums.kept += Math.min(length, maxLength);
        if (length > maxLength) {
          sums.truncated++;
          if (sums.firstTruncated.length < 10) sums.firstTruncated.push(row);
        }
        sums.loss += countLoss(this.runs, lossOn, maxLength, from, end);
      }
      from = end;
    }
    return sums;
  }

  /** Rows that have a problem, from the first on. */
  firstRows(kind: ProblemKind, maxLength: number, most: number): number[] {
    const rows: number[] = [];
    for (let row = 0; row < this.count && rows.length < most; row++) {
      if (this.hasProblem(row, kind, maxLength)) rows.push(row);
    }
    return rows;
  }

  private hasRuns(row: number): boolean {
    return (this.ends[row] ?? 0) > (row === 0 ? 0 : (this.ends[row - 1] ?? 0));
  }

  private numberOf(label: string): number {
    const known = this.labelNumbers.get(label);
    if (known !== undefined) return known;
    if (this.labelNumbers.size >= maxLabels) return noLabel;
    const number = this.labelNumbers.size;
    this.labelNumbers.set(label, number);
    return number;
  }

  private room(row: number): void {
    if (row < this.lengths.length) return;
    this.lengths = grown(this.lengths, row + 1);
    this.turns_ = grown(this.turns_, row + 1);
    this.labels_ = grown(this.labels_, row + 1);
    this.flags = grown(this.flags, row + 1);
    this.ends = grown(this.ends, row + 1);
  }
}

function grown<T extends Uint32Array | Uint16Array>(old: T, needed: number): T {
  const size = Math.max(needed, Math.ceil(old.length * 1.5));
  const larger = (old instanceof Uint16Array ? new Uint16Array(size) : new Uint32Array(size)) as T;
  larger.set(old);
  return larger;
}

/** What the scan keeps of each row: two bytes in memory, some thirty more in blocks that go to a temporary file where they are many. */

import { countLoss } from '../../core/mask.js';
import { type ProblemKind, problemKinds } from '../../core/view/preview-problems.js';
import type { Mask } from './protocol.js';
import { Spool } from './source.js';

const noLabel = 0xffff;
const maxLabels = 4096;
const blockRows = 4096;
const columnBytes = blockRows * (4 + 4 + 2 + 2);
const firstRows = 10;

export interface RowFacts {
  /** Tokens, or characters where there is no tokenizer. */
  readonly length: number;
  readonly turns: number;
  /** Lengths of prompt and completion parts in turn; empty without tokens. */
  readonly runs: ArrayLike<number>;
  readonly label: string | undefined;
}

/** Counts under a mask. */
export interface Sums {
  readonly tokens: number;
  readonly kept: number;
  readonly loss: number;
  readonly truncated: number;
  readonly longest: number;
  readonly firstTruncated: readonly number[];
}

export class RowTable {
  count = 0;
  private flags = new Uint16Array(1 << 10);
  private readonly spool = new Spool();
  /** The block that rows are added to. */
  private readonly last = new Block();
  /** The full block that was asked for last. */
  private readonly loaded = new Block();
  private loadedNumber = -1;
  private readonly labelNumbers = new Map<string, number>();
  private summed = { mask: undefined as Mask | undefined, rows: 0, sums: noSums };

  add({ length, turns, runs, label }: RowFacts): void {
    const row = this.count++;
    this.room(row);
    this.last.set(row % blockRows, length, turns, label === undefined ? noLabel : this.numberOf(label), runs);
    if (this.count % blockRows === 0) this.spool.add(this.last.bytes);
  }

  /** May come before the row is added, and after. */
  mark(kind: ProblemKind, row: number): void {
    this.room(row);
    this.flags[row] = (this.flags[row] ?? 0) | (1 << problemKinds.indexOf(kind));
  }

  length(row: number): number {
    return this.block(row).lengths[row % blockRows] ?? 0;
  }

  turns(row: number): number {
    return this.block(row).turns[row % blockRows] ?? 0;
  }

  hasLabel(row: number, label: string): boolean {
    const number = this.labelNumbers.get(label);
    return number !== undefined && this.block(row).labels[row % blockRows] === number;
  }

  hasProblem(row: number, kind: ProblemKind, maxLength: number): boolean {
    if (kind === 'truncated') return this.block(row).hasRuns(row % blockRows) && this.length(row) > maxLength;
    return ((this.flags[row] ?? 0) & (1 << problemKinds.indexOf(kind))) !== 0;
  }

  /** Of all rows so far. Those summed up before under the same mask are not looked at again. */
  sums(mask: Mask): Sums {
    const known = this.summed.mask;
    if (known?.lossOn !== mask.lossOn || known.maxLength !== mask.maxLength) {
      this.summed = { mask, rows: 0, sums: noSums };
    }
    const sums = { ...this.summed.sums, firstTruncated: [...this.summed.sums.firstTruncated] };
    for (let row = this.summed.rows; row < this.count; row++) {
      const block = this.block(row);
      const at = row % blockRows;
      const length = block.lengths[at] ?? 0;
      if (length > sums.longest) sums.longest = length;
      if (!block.hasRuns(at)) continue;
      sums.tokens += length;
      sums.kept += Math.min(length, mask.maxLength);
      if (length > mask.maxLength) {
        sums.truncated++;
        if (sums.firstTruncated.length < firstRows) sums.firstTruncated.push(row);
      }
      sums.loss += countLoss(block.runs, mask.lossOn, mask.maxLength, block.runsBefore(at), block.ends[at] ?? 0);
    }
    this.summed = { mask, rows: this.count, sums };
    return sums;
  }

  /** Afterwards it cannot be asked any more. */
  close(): void {
    this.spool.close();
  }

  private block(row: number): Block {
    const number = Math.floor(row / blockRows);
    if (number === Math.floor((this.count - 1) / blockRows)) return this.last;
    if (number !== this.loadedNumber) this.loaded.load(this.spool, number);
    this.loadedNumber = number;
    return this.loaded;
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
    if (row < this.flags.length) return;
    const larger = new Uint16Array(Math.max(row + 1, Math.ceil(this.flags.length * 1.5)));
    larger.set(this.flags);
    this.flags = larger;
  }
}

const noSums: Sums = { tokens: 0, kept: 0, loss: 0, truncated: 0, longest: 0, firstTruncated: [] };

/** Columns of `blockRows` rows one after the other, and behind them the runs of all. */
class Block {
  lengths = new Uint32Array(0);
  /** Where the runs of each row end in `runs`. */
  ends = new Uint32Array(0);
  turns = new Uint16Array(0);
  labels = new Uint16Array(0);
  runs = new Uint32Array(0);

  constructor() {
    this.lay(new ArrayBuffer(columnBytes + 4 * 4 * blockRows));
  }

  /** As far as it is filled, once it is. */
  get bytes(): Uint8Array {
    return new Uint8Array(this.lengths.buffer, 0, columnBytes + 4 * (this.ends[blockRows - 1] ?? 0));
  }

  runsBefore(at: number): number {
    return at === 0 ? 0 : (this.ends[at - 1] ?? 0);
  }

  hasRuns(at: number): boolean {
    return (this.ends[at] ?? 0) > this.runsBefore(at);
  }

  set(at: number, length: number, turns: number, label: number, runs: ArrayLike<number>): void {
    const from = this.runsBefore(at);
    this.room(from + runs.length);
    this.lengths[at] = length;
    this.ends[at] = from + runs.length;
    this.turns[at] = Math.min(turns, 0xffff);
    this.labels[at] = label;
    this.runs.set(runs, from);
  }

  load(spool: Spool, number: number): void {
    const size = spool.size(number);
    this.room((size - columnBytes) / 4);
    spool.read(number, 0, new Uint8Array(this.lengths.buffer, 0, size));
  }

  private room(runs: number): void {
    if (runs <= this.runs.length) return;
    const larger = new ArrayBuffer(columnBytes + 4 * Math.max(runs, 2 * this.runs.length));
    new Uint8Array(larger).set(new Uint8Array(this.lengths.buffer));
    this.lay(larger);
  }

  private lay(buffer: ArrayBuffer): void {
    this.lengths = new Uint32Array(buffer, 0, blockRows);
    this.ends = new Uint32Array(buffer, 4 * blockRows, blockRows);
    this.turns = new Uint16Array(buffer, 8 * blockRows, blockRows);
    this.labels = new Uint16Array(buffer, 10 * blockRows, blockRows);
    this.runs = new Uint32Array(buffer, columnBytes);
  }
}

/**
 * Records that repeat or contradict earlier ones, found once all have come. Until then what is compared of each, some 60 bytes, waits in
 * a spool. Then one kind of key after another is looked through, and of each kind one part of all keys after another: what memory that
 * takes is that of a part, and a few bytes a record.
 */

import { SeenTexts } from './hashes.js';
import { bandsOf, likenessOf, nearEnough, sameSlots, signatureWords } from './near.js';
import { Spool } from './spool.js';

/** Records that are compared; of more the first ones are. */
export const mostCompared = 1 << 20;
const blockRows = 4096;
/** Into so many parts keys are divided, by their bits 28 to 31. */
const keyParts = 16;

export interface Compared {
  readonly row: number;
  readonly line: number;
  /** Hashes: of all of it; of its prompt and its answer, where it ends with one. */
  readonly exact: number;
  readonly answered: { readonly prompt: number; readonly answer: number } | undefined;
  readonly signature: Int32Array | undefined;
}

export interface Found {
  readonly kind: 'exact-duplicate' | 'near-duplicate' | 'conflicting-answers';
  readonly row: number;
  readonly line: number;
  readonly message: string;
  readonly other: number;
}

/** No hash: the record ends with no answer. */
const none = -1;

export class Duplicates {
  private count = 0;
  private readonly spool = new Spool();
  private readonly block = new Block();
  /** The block that `at` was asked of last. */
  private readonly loaded = new Block();
  private loadedNumber = -1;
  private readonly single = new Uint32Array(1);

  /** Whether there were more records than are compared. */
  get full(): boolean {
    return this.count > mostCompared;
  }

  add({ row, line, exact, answered, signature }: Compared): void {
    if (this.count++ >= mostCompared) return;
    const { block } = this;
    const at = (this.count - 1) % blockRows;
    block.exact[at] = exact;
    block.prompts[at] = answered?.prompt ?? none;
    block.answers[at] = answered?.answer ?? 0;
    block.rows[at] = row;
    block.lines[at] = line;
    block.signed[at] = signature === undefined ? 0 : 1;
    if (signature !== undefined) block.signatures.set(signature, at * signatureWords);
    if (at === blockRows - 1) this.spool.add(block.bytes);
  }

  /** Of each kind in the order of the file. @param beat told of every row that is looked at, in each round */
  find(report: (found: Found) => void, beat: (row: number) => void): void {
    const count = Math.min(this.count, mostCompared);
    if (count % blockRows !== 0) this.spool.add(this.block.bytes);
    /** Of each record, the earlier one that it is told of with. */
    const others = Uint32Array.from({ length: count }, (_, index) => index);
    const repeated = new Uint8Array(count);
    const tell = (kind: Found['kind'], message: (row: number, index: number) => string): void => {
      for (let index = 0; index < count; index++) {
        const { rows, lines } = this.at(index);
        const row = rows[index % blockRows] ?? 0;
        if (index % blockRows === 0) beat(row);
        if (others[index] === index) continue;
        const other = this.rowOf(others[index] ?? 0);
        report({ kind, row, line: lines[index % blockRows] ?? 0, message: message(other + 1, index), other });
        others[index] = index;
      }
    };

    const seen = new SeenTexts(mostCompared);
    const exactly = ({ exact }: Block, at: number): number | undefined => exact[at];
    this.meet(seen, count, beat, exactly, (index, first) => {
      repeated[index] = 1;
      others[index] = first;
    });
    tell('exact-duplicate', (row) => `is the same as row ${row}`);

    const prompts = ({ prompts }: Block, at: number): number | undefined =>
      prompts[at] === none ? undefined : prompts[at];
    this.meet(seen, count, beat, prompts, (index, first, { answers }, at) => {
      if (this.answerOf(first) !== answers[at]) others[index] = first;
    });
    tell('conflicting-answers', (row) => `answers the prompt of row ${row} in another way`);

    /** Slots that a record has in common with the other; 0 where none is near. */
    const same = new Uint8Array(count);
    const earlier = new SignatureCache((index, into) => this.signature(index, into));
    for (let band = 0; band < bandsOf; band++) {
      const banded = (block: Block, at: number, index: number): number | undefined =>
        block.signed[at] === 1 && repeated[index] === 0
          ? (block.signatures[at * signatureWords + band] ?? 0) >>> 0
          : undefined;
      this.meet(seen, count, beat, banded, (index, first, { signatures }, at) => {
        if (others[index] === first) return;
        const slots = sameSlots(signatures, at * signatureWords, earlier.of(first));
        if (!nearEnough(slots) || slots <= (same[index] ?? 0)) return;
        same[index] = slots;
        others[index] = first;
      });
    }
    const percent = (index: number): number => Math.round(likenessOf(same[index] ?? 0) * 100);
    tell('near-duplicate', (row, index) => `has about ${percent(index)} % in common with row ${row}`);
  }

  close(): void {
    this.spool.close();
  }

  /**
   * Finds the records whose key an earlier one has, in no order.
   *
   * @param keyOf below 2^53; undefined where the record is not to be compared
   * @param met told of a record and of the first one with its key
   */
  private meet(
    seen: SeenTexts,
    count: number,
    beat: (row: number) => void,
    keyOf: (block: Block, at: number, index: number) => number | undefined,
    met: (index: number, first: number, block: Block, at: number) => void,
  ): void {
    for (let part = 0; part < keyParts; part++) {
      seen.clear();
      for (let index = 0; index < count; index++) {
        const block = this.at(index);
        const at = index % blockRows;
        if (at === 0) beat(block.rows[at] ?? 0);
        const key = keyOf(block, at, index);
        if (key === undefined || (key >>> 0) >>> 28 !== part) continue;
        const first = seen.put(key, index);
        if (first !== undefined) met(index, first, block, at);
      }
    }
  }

  /** The block that holds a record. */
  private at(index: number): Block {
    const number = Math.floor(index / blockRows);
    if (number !== this.loadedNumber) this.spool.read(number, 0, this.loaded.bytes);
    this.loadedNumber = number;
    return this.loaded;
  }

  private rowOf(index: number): number {
    return this.number(index, this.block.rows.byteOffset);
  }

  private answerOf(index: number): number {
    return this.number(index, this.block.answers.byteOffset);
  }

  /** Of another block than the one that is looked at. */
  private number(index: number, column: number): number {
    const from = column + (index % blockRows) * 4;
    this.spool.read(Math.floor(index / blockRows), from, new Uint8Array(this.single.buffer));
    return this.single[0] ?? 0;
  }

  private signature(index: number, into: Int32Array): void {
    const from = this.block.signatures.byteOffset + (index % blockRows) * signatureWords * 4;
    const bytes = new Uint8Array(into.buffer, into.byteOffset, into.byteLength);
    this.spool.read(Math.floor(index / blockRows), from, bytes);
  }
}

/** Columns of `blockRows` records, one after the other. */
class Block {
  readonly bytes = new Uint8Array(blockRows * (8 + 8 + 4 + 4 + 4 + 4 * signatureWords + 1));
  readonly exact = new Float64Array(this.bytes.buffer, 0, blockRows);
  readonly prompts = new Float64Array(this.bytes.buffer, 8 * blockRows, blockRows);
  /** 32 bits are enough to tell two answers to one prompt apart. */
  readonly answers = new Uint32Array(this.bytes.buffer, 16 * blockRows, blockRows);
  readonly rows = new Uint32Array(this.bytes.buffer, 20 * blockRows, blockRows);
  readonly lines = new Uint32Array(this.bytes.buffer, 24 * blockRows, blockRows);
  readonly signatures = new Int32Array(this.bytes.buffer, 28 * blockRows, blockRows * signatureWords);
  readonly signed = new Uint8Array(this.bytes.buffer, (28 + 4 * signatureWords) * blockRows, blockRows);
}

/** Signatures of records that others are compared with: often the same few again. */
class SignatureCache {
  private static readonly size = 4096;
  private readonly owners = new Int32Array(SignatureCache.size).fill(-1);
  private readonly signatures = new Int32Array(SignatureCache.size * signatureWords);

  constructor(private readonly read: (index: number, into: Int32Array) => void) {}

  of(index: number): Int32Array {
    const place = index % SignatureCache.size;
    const signature = this.signatures.subarray(place * signatureWords, (place + 1) * signatureWords);
    if (this.owners[place] !== index) this.read(index, signature);
    this.owners[place] = index;
    return signature;
  }
}

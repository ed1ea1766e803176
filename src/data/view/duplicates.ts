/**
 * Records that repeat or contradict earlier ones, found once all have come. Until then what is compared of each, some 60 bytes, waits in
 * a spool. Then one kind of key after another is looked through: what memory that takes is that of one kind.
 */

import { bandsOf, likenessOf, nearEnough, sameSlots, signatureWords } from './near.js';
import { Spool } from './spool.js';

/** Records that are compared; of more the first ones are. */
export const mostCompared = 1 << 20;
const blockRows = 4096;

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
const repeated = 1;
const signed = 2;

export class Duplicates {
  private count = 0;
  private readonly spool = new Spool();
  private readonly block = new Block();
  /** The block that `at` was asked of last. */
  private readonly loaded = new Block();
  private loadedNumber = -1;

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
    block.flags[at] = signature === undefined ? 0 : signed;
    if (signature !== undefined) block.signatures.set(signature, at * signatureWords);
    if (at === blockRows - 1) this.spool.add(block.bytes);
  }

  /** Of each kind in the order of the file. @param beat told of every row that is looked at, in each round */
  find(report: (found: Found) => void, beat: (row: number) => void): void {
    const count = Math.min(this.count, mostCompared);
    if (count % blockRows !== 0) this.spool.add(this.block.bytes);
    const table = new FirstPlaces(count);
    const keys = new Float64Array(count);
    const scratch = new Uint32Array(count);
    const rows = this.column('rows', new Uint32Array(count));
    const flags = this.column('flags', new Uint8Array(count));
    const rowOf = (index: number): number => rows[index] ?? 0;
    const tell = (kind: Found['kind'], index: number, other: number, message: string): void =>
      report({ kind, row: rowOf(index), line: this.at(index).lines[index % blockRows] ?? 0, message, other });

    this.column('exact', keys);
    for (let i = 0; i < count; i++) {
      beat(rowOf(i));
      const first = table.put(keys, i);
      if (first === i) continue;
      flags[i] = (flags[i] ?? 0) | repeated;
      tell('exact-duplicate', i, rowOf(first), `is the same as row ${rowOf(first) + 1}`);
    }

    table.clear();
    this.column('prompts', keys);
    const answers = this.column('answers', scratch);
    for (let i = 0; i < count; i++) {
      beat(rowOf(i));
      const first = keys[i] === none ? i : table.put(keys, i);
      if (answers[first] === answers[i]) continue;
      tell('conflicting-answers', i, rowOf(first), `answers the prompt of row ${rowOf(first) + 1} in another way`);
    }

    this.findNear(
      { count, table, keys: new Int32Array(keys.buffer, 0, count), nearest: scratch, flags, rowOf, beat },
      tell,
    );
  }

  close(): void {
    this.spool.close();
  }

  private findNear(
    {
      count,
      table,
      keys,
      nearest,
      flags,
      rowOf,
      beat,
    }: {
      readonly count: number;
      readonly table: FirstPlaces;
      readonly keys: Int32Array;
      readonly nearest: Uint32Array;
      readonly flags: Uint8Array;
      readonly rowOf: (index: number) => number;
      readonly beat: (row: number) => void;
    },
    tell: (kind: Found['kind'], index: number, other: number, message: string) => void,
  ): void {
    /** Slots that a record has in common with its `nearest`; 0 where none is near. */
    const same = new Uint8Array(count);
    const earlier = new SignatureCache((index, into) => this.signature(index, into));
    for (let band = 0; band < bandsOf; band++) {
      table.clear();
      for (let i = 0; i < count; i++) {
        const at = i % blockRows;
        if (at === 0) beat(rowOf(i));
        if (flags[i] !== signed) continue;
        const { signatures } = this.at(i);
        keys[i] = signatures[at * signatureWords + band] ?? 0;
        const first = table.put(keys, i);
        if (first === i || (same[i] !== 0 && nearest[i] === first)) continue;
        const slots = sameSlots(signatures, at * signatureWords, earlier.of(first));
        if (!nearEnough(slots) || slots <= (same[i] ?? 0)) continue;
        same[i] = slots;
        nearest[i] = first;
      }
    }
    for (let i = 0; i < count; i++) {
      if (same[i] === 0) continue;
      const other = rowOf(nearest[i] ?? 0);
      const percent = Math.round(likenessOf(same[i] ?? 0) * 100);
      tell('near-duplicate', i, other, `has about ${percent} % in common with row ${other + 1}`);
    }
  }

  private column<
    C extends 'exact' | 'prompts' | 'answers' | 'rows' | 'flags',
    T extends Float64Array | Uint32Array | Uint8Array,
  >(name: C, into: T): T {
    const { byteOffset, BYTES_PER_ELEMENT: width } = this.block[name];
    for (let from = 0; from < into.length; from += blockRows) {
      const part = into.subarray(from, from + blockRows);
      this.spool.read(from / blockRows, byteOffset, new Uint8Array(part.buffer, part.byteOffset, part.length * width));
    }
    return into;
  }

  /** The block that holds a record. */
  private at(index: number): Block {
    const number = Math.floor(index / blockRows);
    if (number !== this.loadedNumber) this.spool.read(number, 0, this.loaded.bytes);
    this.loadedNumber = number;
    return this.loaded;
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
  readonly flags = new Uint8Array(this.bytes.buffer, (28 + 4 * signatureWords) * blockRows, blockRows);
}

/** Where each key stood first. */
class FirstPlaces {
  /** Numbers of records and one; 0 where it is free. */
  private readonly entries: Uint32Array;

  constructor(count: number) {
    this.entries = new Uint32Array(2 ** Math.ceil(Math.log2(Math.max(16, count * 1.5))));
  }

  clear(): void {
    this.entries.fill(0);
  }

  /** @returns the first record with the key of record `index`: itself where it is new */
  put(keys: Float64Array | Int32Array, index: number): number {
    const { entries } = this;
    const key = keys[index] ?? 0;
    const mask = entries.length - 1;
    for (let at = mix(key) & mask; ; at = (at + 1) & mask) {
      const entry = entries[at] ?? 0;
      if (entry === 0) {
        entries[at] = index + 1;
        return index;
      }
      if (keys[entry - 1] === key) return entry - 1;
    }
  }
}

function mix(key: number): number {
  let h = Math.imul((key >>> 0) ^ Math.floor(key / 2 ** 32), 0x45d9f3b);
  h = Math.imul(h ^ (h >>> 15), 0x45d9f3b);
  return (h ^ (h >>> 16)) >>> 0;
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

/**
 * Byte-pair encoding of one word (a piece that the pre-tokenizer cut), with the ids of Hugging Face `tokenizers`: the pair of the lowest
 * rank is merged first, of equal ones the leftmost. `ByteBpe` begins with bytes, `SpacedBpe` (in `spaced.ts`) with characters.
 */

import { isObject } from './files.js';

/** GPT-2's alphabet: printable bytes stand for themselves, the others for characters from U+0100 on. */
export const byteCharacters: readonly string[] = (() => {
  let shifted = 0;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    return String.fromCodePoint(printable ? byte : 0x100 + shifted++);
  });
})();

/** Up to this many bytes looking at all pairs for each merge is faster than keeping them in order. */
const shortWord = 96;

/** A model of the type BPE as tokenizer.json has it. */
export interface BpeModel {
  readonly vocab: ReadonlyMap<string, number>;
  /** The ids of a pair, and of what they make. */
  readonly merges: readonly (readonly [number, number, number])[];
  readonly byteFallback: boolean;
  readonly ignoreMerges: boolean;
}

/** Undefined where the model is another, or has parts (affixes, dropout) that are not known here. */
export function bpeModel(model: unknown): BpeModel | undefined {
  if (!isObject(model) || model.type !== 'BPE' || !isObject(model.vocab) || !Array.isArray(model.merges))
    return undefined;
  if ([model.continuing_subword_prefix, model.continuing_subword_suffix, model.end_of_word_suffix].some(Boolean))
    return undefined;
  if (typeof model.dropout === 'number' && model.dropout > 0) return undefined;
  const vocab = new Map<string, number>();
  for (const [token, id] of Object.entries(model.vocab)) {
    if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id > 1 << 24) return undefined;
    vocab.set(token, id);
  }
  const merges: [number, number, number][] = [];
  for (const merge of model.merges) {
    const [left, right, ...more]: unknown[] =
      typeof merge === 'string' ? merge.split(' ') : Array.isArray(merge) ? merge : [];
    if (typeof left !== 'string' || typeof right !== 'string' || more.length > 0) return undefined;
    const ids = [vocab.get(left), vocab.get(right), vocab.get(left + right)];
    const [a, b, c] = ids;
    if (a === undefined || b === undefined || c === undefined) return undefined;
    merges.push([a, b, c]);
  }
  return { vocab, merges, byteFallback: model.byte_fallback === true, ignoreMerges: model.ignore_merges === true };
}

/** A number for each id. */
export function sizesOf(vocab: ReadonlyMap<string, number>, sizeOf: (token: string) => number): Int32Array {
  let most = 0;
  for (const id of vocab.values()) most = Math.max(most, id);
  const sizes = new Int32Array(most + 1);
  for (const [token, id] of vocab) sizes[id] = sizeOf(token);
  return sizes;
}

/** The first `count` of some ids, and where each ends in the UTF-8 bytes of their text. */
export function withEnds(from: Int32Array, count: number, sizes: Int32Array): { ids: number[]; ends: number[] } {
  const ids: number[] = [];
  const ends: number[] = [];
  let end = 0;
  for (let i = 0; i < count; i++) {
    const id = from[i] ?? 0;
    end += sizes[id] ?? 0;
    ids.push(id);
    ends.push(end);
  }
  return { ids, ends };
}

export class ByteBpe {
  private readonly merges: Merges;
  private readonly byteIds: Int32Array;
  /** Bytes of each id. */
  private readonly sizes: Int32Array;
  /** Words that are a token as they are, whatever the merges would make (Llama 3). */
  private readonly whole: ReadonlyMap<string, number> | undefined;
  private ids = new Int32Array(256);

  private constructor({ vocab, merges, ignoreMerges }: BpeModel) {
    this.merges = new Merges(merges);
    this.byteIds = Int32Array.from(byteCharacters, (character) => vocab.get(character) ?? -1);
    this.sizes = sizesOf(vocab, (token) => token.length);
    this.whole = ignoreMerges ? vocab : undefined;
  }

  /** Undefined where tokenizer.json's model is not plain byte-level BPE. */
  static of(json: Readonly<Record<string, unknown>>): ByteBpe | undefined {
    const model = bpeModel(json.model);
    if (model === undefined || model.byteFallback) return undefined;
    const bpe = new ByteBpe(model);
    return bpe.byteIds.includes(-1) ? undefined : bpe;
  }

  /** @returns ids, and where each ends in the word's UTF-8 bytes */
  encode(word: string): { readonly ids: readonly number[]; readonly ends: readonly number[] } {
    const bytes = Buffer.from(word, 'utf8');
    if (this.whole !== undefined) {
      let token = '';
      for (const byte of bytes) token += byteCharacters[byte] ?? '';
      const id = this.whole.get(token);
      if (id !== undefined) return { ids: [id], ends: [bytes.length] };
    }
    if (this.ids.length < bytes.length) this.ids = new Int32Array(bytes.length * 2);
    for (let i = 0; i < bytes.length; i++) this.ids[i] = this.byteIds[bytes[i] ?? 0] ?? 0;
    const count = this.merges.merge(this.ids, bytes.length);
    return withEnds(this.ids, count, this.sizes);
  }
}

/** The merges of a model, by the two ids that they merge. */
export class Merges {
  /** Open addressing: ids of the pair, rank, id of what they make. */
  private readonly lefts: Int32Array;
  private readonly rights: Int32Array;
  private readonly ranks: Int32Array;
  private readonly made: Int32Array;
  private readonly mask: number;
  private readonly pairs = new Int32Array(shortWord);

  constructor(merges: BpeModel['merges']) {
    let size = 16;
    while (size < merges.length * 2) size *= 2;
    this.mask = size - 1;
    this.lefts = new Int32Array(size).fill(-1);
    this.rights = new Int32Array(size);
    this.ranks = new Int32Array(size);
    this.made = new Int32Array(size);
    for (const [rank, [left, right, id]] of merges.entries()) {
      let at = this.slot(left, right);
      while (this.lefts[at] !== -1 && (this.lefts[at] !== left || this.rights[at] !== right)) at = (at + 1) & this.mask;
      // Of a pair that is listed twice the last rank counts, as in `tokenizers`.
      this.lefts[at] = left;
      this.rights[at] = right;
      this.ranks[at] = rank;
      this.made[at] = id;
    }
  }

  /** Merges the first `length` of `ids` in place. @returns how many are left */
  merge(ids: Int32Array, length: number): number {
    return length <= shortWord ? this.mergeShort(ids, length) : this.mergeLong(ids, length);
  }

  /** `pairs[i]`: where the merge of the tokens i and i + 1 stands in the table; -1 for none. */
  private mergeShort(ids: Int32Array, length: number): number {
    const { pairs, ranks } = this;
    let count = length;
    for (let i = 0; i + 1 < count; i++) pairs[i] = this.find(ids[i] ?? 0, ids[i + 1] ?? 0);
    for (;;) {
      let best = -1;
      let least = 0x7fffffff;
      for (let i = 0; i + 1 < count; i++) {
        const pair = pairs[i] ?? -1;
        if (pair >= 0 && (ranks[pair] ?? 0) < least) {
          least = ranks[pair] ?? 0;
          best = i;
        }
      }
      if (best < 0) return count;
      ids[best] = this.made[pairs[best] ?? 0] ?? 0;
      count--;
      for (let i = best + 1; i < count; i++) {
        ids[i] = ids[i + 1] ?? 0;
        pairs[i] = pairs[i + 1] ?? -1;
      }
      if (best > 0) pairs[best - 1] = this.find(ids[best - 1] ?? 0, ids[best] ?? 0);
      if (best + 1 < count) pairs[best] = this.find(ids[best] ?? 0, ids[best + 1] ?? 0);
    }
  }

  /** A linked list of tokens and a heap of pairs, so that words of megabytes (no blanks, one script) take no quadratic time. */
  private mergeLong(ids: Int32Array, length: number): number {
    const next = Int32Array.from({ length }, (_, i) => (i + 1 < length ? i + 1 : -1));
    const previous = Int32Array.from({ length }, (_, i) => i - 1);
    const heap = new PairHeap(length);
    const push = (left: number): void => {
      const right = next[left] ?? -1;
      if (right < 0) return;
      const pair = this.find(ids[left] ?? 0, ids[right] ?? 0);
      if (pair >= 0) heap.push(this.ranks[pair] ?? 0, left);
    };
    for (let i = 0; i + 1 < length; i++) push(i);
    for (let top = heap.pop(); top !== undefined; top = heap.pop()) {
      const left = top.at;
      const right = ids[left] === -1 ? -1 : (next[left] ?? -1);
      if (right < 0) continue;
      const pair = this.find(ids[left] ?? 0, ids[right] ?? 0);
      // The tokens may have changed since the pair was put there.
      if (pair < 0 || this.ranks[pair] !== top.rank) continue;
      ids[left] = this.made[pair] ?? 0;
      ids[right] = -1;
      const after = next[right] ?? -1;
      next[left] = after;
      if (after >= 0) previous[after] = left;
      push(left);
      const before = previous[left] ?? -1;
      if (before >= 0) push(before);
    }
    let count = 0;
    for (let i = 0; i >= 0 && i < length; i = next[i] ?? -1) ids[count++] = ids[i] ?? 0;
    return count;
  }

  private slot(left: number, right: number): number {
    return (Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)) & this.mask;
  }

  private find(left: number, right: number): number {
    const { lefts, rights, mask } = this;
    const hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const found = lefts[at];
      if (found === -1) return -1;
      if (found === left && rights[at] === right) return at;
    }
  }
}

/** Pairs by rank, of equal rank by place. */
class PairHeap {
  private keys: Float64Array;
  private count = 0;

  constructor(capacity: number) {
    this.keys = new Float64Array(Math.max(16, capacity));
  }

  push(rank: number, at: number): void {
    if (this.count === this.keys.length) {
      const larger = new Float64Array(this.count * 2);
      larger.set(this.keys);
      this.keys = larger;
    }
    const { keys } = this;
    // Exact in a double: ranks are below 2^24, places below 2^29.
    const key = rank * 2 ** 29 + at;
    let i = this.count++;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if ((keys[parent] ?? 0) <= key) break;
      keys[i] = keys[parent] ?? 0;
      i = parent;
    }
    keys[i] = key;
  }

  pop(): { rank: number; at: number } | undefined {
    if (this.count === 0) return undefined;
    const { keys } = this;
    const top = keys[0] ?? 0;
    const last = keys[--this.count] ?? 0;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= this.count) break;
      if (child + 1 < this.count && (keys[child + 1] ?? 0) < (keys[child] ?? 0)) child++;
      if ((keys[child] ?? 0) >= last) break;
      keys[i] = keys[child] ?? 0;
      i = child;
    }
    keys[i] = last;
    const rank = Math.floor(top / 2 ** 29);
    return { rank, at: top - rank * 2 ** 29 };
  }
}

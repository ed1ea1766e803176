/**
 * Near duplicates by MinHash: how many of 32 slots two texts have in common estimates the share of word triples that they have in
 * common (one-permutation hashing: Li, Owen and Zhang 2012; empty slots filled as by Shrivastava and Li 2014). Texts with four slots in
 * a row in common are looked at; what is said is an estimate with a standard error of about 0.06.
 */

const slots = 32;
const bands = 4;
const wordsPerShingle = 3;
/** Eight numbers of 32 bits to a text: 32 slots of one byte. */
const stride = slots / 4;
/** Numbers of 32 bits to a signature. */
export const signatureWords = stride;
const threshold = 0.85;
const seeds = [0x9e3779b1, 0x85ebca6b, 0xc2b2ae35];

export class NearDuplicates {
  private signatures = new Int32Array(stride * 1024);
  private tables = Array.from({ length: bands }, () => new Uint32Array(4096));
  private readonly rows: Uint32Array;
  private count = 0;

  /** @param maxTexts no more are kept: memory is about 52 bytes for each */
  constructor(private readonly maxTexts = 1 << 20) {
    this.rows = new Uint32Array(maxTexts);
  }

  get full(): boolean {
    return this.count >= this.maxTexts;
  }

  /** @returns the row of an earlier text that this one nearly is, if any; undefined too for texts of fewer than eight words */
  add(row: number, text: string): { readonly row: number; readonly likeness: number } | undefined {
    const signature = this.full ? undefined : signatureOf(text);
    return signature === undefined ? undefined : this.addSigned(row, signature);
  }

  /** As `add`, of a text whose signature was made elsewhere. */
  addSigned(row: number, signature: Int32Array): { readonly row: number; readonly likeness: number } | undefined {
    if (this.full) return undefined;
    this.grow();
    const index = this.count++;
    this.rows[index] = row;
    this.signatures.set(signature, index * stride);
    let best: { row: number; likeness: number } | undefined;
    for (let band = 0; band < bands; band++) {
      const other = this.place(band, index);
      if (other === undefined) continue;
      const likeness = this.likeness(index, other);
      if (likeness >= threshold && likeness > (best?.likeness ?? 0)) best = { row: this.rows[other] ?? 0, likeness };
    }
    return best;
  }

  /** Puts a text into the table of a band; returns the first one there with the same key, which stays. */
  private place(band: number, index: number): number | undefined {
    const table = this.tables[band] ?? new Uint32Array(1);
    const key = this.signatures[index * stride + band] ?? 0;
    const mask = table.length - 1;
    for (let at = mix(key) & mask; ; at = (at + 1) & mask) {
      const entry = table[at] ?? 0;
      if (entry === 0) {
        table[at] = index + 1;
        return undefined;
      }
      if (this.signatures[(entry - 1) * stride + band] === key) return entry - 1;
    }
  }

  private grow(): void {
    if ((this.count + 1) * stride <= this.signatures.length) return;
    const larger = new Int32Array(Math.min(this.maxTexts, this.count * 2) * stride);
    larger.set(this.signatures);
    this.signatures = larger;
    this.tables = this.tables.map((table) => new Uint32Array(table.length * 2));
    for (let band = 0; band < bands; band++) for (let i = 0; i < this.count; i++) this.place(band, i);
  }

  private likeness(a: number, b: number): number {
    let same = 0;
    for (let i = 0; i < stride; i++) {
      const x = (this.signatures[a * stride + i] ?? 0) ^ (this.signatures[b * stride + i] ?? 0);
      if ((x & 0xff) === 0) same++;
      if ((x & 0xff00) === 0) same++;
      if ((x & 0xff0000) === 0) same++;
      if ((x & 0xff000000) === 0) same++;
    }
    // Two different bytes are equal by chance once in 256.
    return Math.max(0, (same / slots - 1 / 256) / (1 - 1 / 256));
  }
}

function mix(x: number): number {
  let h = Math.imul(x ^ (x >>> 16), 0x45d9f3b);
  h = Math.imul(h ^ (h >>> 15), 0x45d9f3b);
  return (h ^ (h >>> 16)) >>> 0;
}

/** 0: no letter; 1: part of a word; 2: a word of its own (scripts written without spaces). */
function letterKind(code: number): 0 | 1 | 2 {
  if (code < 0x80) return (code >= 0x30 && code <= 0x39) || ((code | 32) >= 0x61 && (code | 32) <= 0x7a) ? 1 : 0;
  if ((code >= 0x3040 && code <= 0x9fff) || (code >= 0xac00 && code <= 0xd7ff) || (code >= 0xd800 && code <= 0xdfff))
    return 2;
  return code < 0xa0 || (code >= 0x2000 && code <= 0x206f) || (code >= 0x3000 && code <= 0x303f) ? 0 : 1;
}

/** Undefined for texts of fewer than eight words. */
export function signatureOf(text: string): Int32Array | undefined {
  const least = new Uint32Array(slots).fill(0xffffffff);
  let a = 0;
  let b = 0;
  let word = 0;
  let words = 0;
  const endWord = (): void => {
    if (word === 0) return;
    words++;
    if (words >= wordsPerShingle) {
      const hash = mix(Math.imul(a, seeds[0] ?? 1) ^ Math.imul(b, seeds[1] ?? 1) ^ Math.imul(word, seeds[2] ?? 1));
      const slot = hash & (slots - 1);
      const rest = hash >>> 5;
      if (rest < (least[slot] ?? 0)) least[slot] = rest;
    }
    a = (b << 7) | (b >>> 25);
    b = word;
    word = 0;
  };
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const kind = letterKind(code);
    if (kind !== 1) endWord();
    if (kind !== 0) word = (Math.imul(word, 31) + (code < 0x80 ? code | 32 : code) + 1) | 0 || 1;
    if (kind === 2) endWord();
  }
  endWord();
  if (words < 8) return undefined;
  const bytes = new Uint8Array(slots);
  for (let i = 0; i < slots; i++) {
    // An empty slot takes what the next full one has, with the distance mixed in.
    let from = i;
    for (let step = 0; step < slots && least[from] === 0xffffffff; step++) from = (from + 1) % slots;
    bytes[i] = mix((least[from] ?? 0) + Math.imul((from - i + slots) % slots, 0x9e3779b1)) & 0xff;
  }
  return new Int32Array(bytes.buffer);
}

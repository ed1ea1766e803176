/**
 * Near duplicates by MinHash: how many of 32 slots two texts have in common estimates the share of word triples that they have in
 * common (one-permutation hashing: Li, Owen and Zhang 2012; empty slots filled as by Shrivastava and Li 2014). Texts with four slots in
 * a row in common are looked at; what is said is an estimate with a standard error of about 0.06.
 */

const slots = 32;
/** The first so many numbers of a signature are looked up; texts that have one in common are compared. */
export const bandsOf = 4;
const wordsPerShingle = 3;
/** Eight numbers of 32 bits to a text: 32 slots of one byte. */
const stride = slots / 4;
/** Numbers of 32 bits to a signature. */
export const signatureWords = stride;
const threshold = 0.85;
const seeds = [0x9e3779b1, 0x85ebca6b, 0xc2b2ae35];

/** Of two signatures: how many slots are equal. @param a a list of signatures, of which the one at `at` is meant */
export function sameSlots(a: Int32Array, at: number, b: Int32Array): number {
  let same = 0;
  for (let i = 0; i < stride; i++) {
    const x = (a[at + i] ?? 0) ^ (b[i] ?? 0);
    if ((x & 0xff) === 0) same++;
    if ((x & 0xff00) === 0) same++;
    if ((x & 0xff0000) === 0) same++;
    if ((x & 0xff000000) === 0) same++;
  }
  return same;
}

/** The share of word triples that two texts have in common, estimated from equal slots: two bytes are equal by chance once in 256. */
export function likenessOf(same: number): number {
  return Math.max(0, (same / slots - 1 / 256) / (1 - 1 / 256));
}

export function nearEnough(same: number): boolean {
  return likenessOf(same) >= threshold;
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
  const signature = new Int32Array(stride);
  for (let i = 0; i < slots; i++) {
    // An empty slot takes what the next full one has, with the distance mixed in.
    let from = i;
    for (let step = 0; step < slots && least[from] === 0xffffffff; step++) from = (from + 1) % slots;
    const byte = mix((least[from] ?? 0) + Math.imul((from - i + slots) % slots, 0x9e3779b1)) & 0xff;
    signature[i >> 2] = (signature[i >> 2] ?? 0) | (byte << (8 * (i & 3)));
  }
  return signature;
}

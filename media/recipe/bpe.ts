/**
 * Byte-level BPE (Sennrich et al. 2016; bytes written as printable characters as GPT-2 does), trained from counted words.
 *
 * Deterministic: of the pairs with the highest count the one with the lowest ids is merged.
 */

/**
 * How text is cut before bytes are merged: contractions, words with at most one character before them, single digits, runs
 * of other signs, line ends, spaces. It is Qwen2's pattern, except that white space is spelt out, because `\s` means
 * different characters in JavaScript and in Rust, and ids must agree everywhere.
 */
export const splitPattern = [
  `'(?:s|t|re|ve|m|ll|d)`,
  String.raw`[^\r\n\p{L}\p{N}]?\p{L}+`,
  String.raw`\p{N}`,
  String.raw` ?[^ \t\r\n\p{L}\p{N}]+[\r\n]*`,
  String.raw`[ \t]*[\r\n]+`,
  String.raw`[ \t]+(?![^ \t\r\n])`,
  String.raw`[ \t]+`,
].join('|');

export interface Bpe {
  /** Token texts in the byte alphabet; the index is the id. */
  readonly vocabulary: readonly string[];
  /** Pairs of ids in the order in which they are merged. */
  readonly merges: readonly (readonly [number, number])[];
}

/** The character that stands for each byte (GPT-2's `bytes_to_unicode`): printable ones for themselves, the rest from U+0100 on. */
export const byteAlphabet: readonly string[] = (() => {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    return String.fromCodePoint(printable ? byte : next++);
  });
})();

/** Counts the pieces that `splitPattern` cuts the texts into. */
export function countWords(texts: Iterable<string>): Map<string, number> {
  const pattern = new RegExp(splitPattern, 'gu');
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const [word] of text.matchAll(pattern)) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return counts;
}

interface Word {
  ids: number[];
  readonly count: number;
}

/** Merges the most frequent pair until the vocabulary has `size` tokens, or no pair occurs twice. */
export function trainBpe(counts: ReadonlyMap<string, number>, size: number): Bpe {
  const vocabulary = [...byteAlphabet];
  const merges: [number, number][] = [];
  const encoder = new TextEncoder();
  const words: Word[] = [...counts].map(([text, count]) => ({ ids: [...encoder.encode(text)], count }));

  // Pair (first × size + second) → its count and the words it occurs in. A word may linger after its last occurrence went.
  const pairs = new Map<number, { count: number; words: Set<Word> }>();
  const change = (first: number, second: number, word: Word, sign: 1 | -1) => {
    const key = first * size + second;
    let pair = pairs.get(key);
    if (pair === undefined) {
      pair = { count: 0, words: new Set() };
      pairs.set(key, pair);
    }
    pair.count += sign * word.count;
    if (sign > 0) pair.words.add(word);
    if (pair.count === 0) pairs.delete(key);
  };
  const changeAll = (word: Word, sign: 1 | -1) => {
    for (let i = 1; i < word.ids.length; i++) change(word.ids[i - 1] as number, word.ids[i] as number, word, sign);
  };
  for (const word of words) changeAll(word, 1);

  while (vocabulary.length < size) {
    let best = -1;
    let bestCount = 1;
    for (const [key, { count }] of pairs) {
      if (count > bestCount || (count === bestCount && best >= 0 && key < best)) {
        best = key;
        bestCount = count;
      }
    }
    if (best < 0) break;
    const [first, second] = [Math.floor(best / size), best % size];
    const merged = vocabulary.length;
    vocabulary.push(`${vocabulary[first]}${vocabulary[second]}`);
    merges.push([first, second]);
    for (const word of [...(pairs.get(best)?.words ?? [])]) {
      changeAll(word, -1);
      word.ids = mergePair(word.ids, first, second, merged);
      changeAll(word, 1);
    }
  }
  return { vocabulary, merges };
}

/** Replaces each `first second` by `merged`, from left to right. */
function mergePair(ids: readonly number[], first: number, second: number, merged: number): number[] {
  const out: number[] = [];
  for (let i = 0; i < ids.length; i++) {
    if (ids[i] === first && ids[i + 1] === second) {
      out.push(merged);
      i++;
    } else {
      out.push(ids[i] as number);
    }
  }
  return out;
}

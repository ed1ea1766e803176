/**
 * What differs between two texts, word by word: Myers' algorithm in linear space, that is, the middle of a shortest way is looked for
 * from both ends and both halves are solved alike. Time is bounded too: a stretch whose two sides have too little in common is shown as
 * replaced as a whole, which is what a person would say of it.
 */

export interface DiffPart {
  readonly kind: 'same' | 'removed' | 'added';
  readonly text: string;
}

/** Most words of difference that are searched for in one stretch. */
const mostEdits = 3000;

/** Scripts that put no blanks between words: each character is one. */
const unspaced =
  '\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Thai}\\p{Script=Lao}\\p{Script=Khmer}\\p{Script=Myanmar}';
const words = new RegExp(
  `\\r?\\n|[^\\S\\n]+|[${unspaced}]\\p{M}*|(?:(?![${unspaced}])[\\p{L}\\p{M}\\p{N}_])+|[^]`,
  'gu',
);

/** Words, blanks, line ends and signs, such that together they are the text. */
export function splitWords(text: string): string[] {
  return text.match(words) ?? [];
}

/** Without the added parts it is `before`, without the removed ones `after`; what is removed stands before what replaces it. */
export function diffWords(before: string, after: string, limit = mostEdits): DiffPart[] {
  const [a, b] = [splitWords(before), splitWords(after)];
  const numbers = new Map<string, number>();
  const numbered = (list: readonly string[]): Int32Array =>
    Int32Array.from(list, (word) => {
      const known = numbers.get(word);
      if (known !== undefined) return known;
      numbers.set(word, numbers.size);
      return numbers.size - 1;
    });
  const differ = new Differ(numbered(a), numbered(b), limit);
  differ.compare(0, a.length, 0, b.length);
  return gather(a, b, differ);
}

/** Which words of either side are in the other one too, in order. */
class Differ {
  readonly keptA: Uint8Array;
  readonly keptB: Uint8Array;
  private readonly forwards: Int32Array;
  private readonly backwards: Int32Array;
  private readonly middle: number;

  constructor(
    private readonly a: Int32Array,
    private readonly b: Int32Array,
    private readonly limit: number,
  ) {
    this.keptA = new Uint8Array(a.length);
    this.keptB = new Uint8Array(b.length);
    // Diagonals that can be reached: no further than there are edits.
    this.middle = Math.min(limit, Math.ceil((a.length + b.length) / 2)) + 1;
    this.forwards = new Int32Array(2 * this.middle + 1);
    this.backwards = new Int32Array(2 * this.middle + 1);
  }

  compare(fromA: number, toA: number, fromB: number, toB: number): void {
    const { a, b } = this;
    let [a0, a1, b0, b1] = [fromA, toA, fromB, toB];
    while (a0 < a1 && b0 < b1 && a[a0] === b[b0]) this.keep(a0++, b0++);
    while (a0 < a1 && b0 < b1 && a[a1 - 1] === b[b1 - 1]) this.keep(--a1, --b1);
    if (a0 === a1 || b0 === b1) return;
    const split = this.split(a0, a1, b0, b1);
    if (split === undefined) return;
    this.compare(a0, split.a, b0, split.b);
    this.compare(split.a, a1, split.b, b1);
  }

  private keep(inA: number, inB: number): void {
    this.keptA[inA] = 1;
    this.keptB[inB] = 1;
  }

  /** A point in the middle of a shortest way; undefined where that way is longer than the limit, or goes through nothing in common. */
  private split(a0: number, a1: number, b0: number, b1: number): { a: number; b: number } | undefined {
    const { a, b, forwards, backwards, middle } = this;
    const [n, m] = [a1 - a0, b1 - b0];
    const delta = n - m;
    const odd = delta % 2 !== 0;
    const most = Math.min(this.limit, Math.ceil((n + m) / 2));
    const at = (list: Int32Array, k: number): number => list[middle + k] ?? 0;
    forwards[middle + 1] = 0;
    backwards[middle + 1] = 0;
    for (let d = 0; d <= most; d++) {
      for (let k = -d; k <= d; k += 2) {
        let x =
          k === -d || (k !== d && at(forwards, k - 1) < at(forwards, k + 1))
            ? at(forwards, k + 1)
            : at(forwards, k - 1) + 1;
        let y = x - k;
        if (x > n || y > m || y < 0) {
          forwards[middle + k] = x;
          continue;
        }
        const start = x;
        while (x < n && y < m && a[a0 + x] === b[b0 + y]) {
          x++;
          y++;
        }
        forwards[middle + k] = x;
        // The same diagonal as the way from the end counts it.
        const back = delta - k;
        if (odd && Math.abs(back) <= d - 1 && x + at(backwards, back) >= n) return inside(a0 + start, b0 + start - k);
      }
      for (let k = -d; k <= d; k += 2) {
        let x =
          k === -d || (k !== d && at(backwards, k - 1) < at(backwards, k + 1))
            ? at(backwards, k + 1)
            : at(backwards, k - 1) + 1;
        let y = x - k;
        if (x > n || y > m || y < 0) {
          backwards[middle + k] = x;
          continue;
        }
        const start = x;
        while (x < n && y < m && a[a1 - 1 - x] === b[b1 - 1 - y]) {
          x++;
          y++;
        }
        backwards[middle + k] = x;
        const front = delta - k;
        if (!odd && Math.abs(front) <= d && x + at(forwards, front) >= n) return inside(a1 - start, b1 - (start - k));
      }
    }
    return undefined;

    /** A split at a corner would solve the same stretch again. */
    function inside(x: number, y: number): { a: number; b: number } | undefined {
      const corner = (x <= a0 && y <= b0) || (x >= a1 && y >= b1);
      return corner ? undefined : { a: x, b: y };
    }
  }
}

/** Blanks that two changes have between them are no common ground: they belong to both. */
function gather(a: readonly string[], b: readonly string[], { keptA, keptB }: Differ): DiffPart[] {
  const parts: DiffPart[] = [];
  let removed = '';
  let added = '';
  let blanks = '';
  let same = '';
  const flush = (): void => {
    if (removed !== '') parts.push({ kind: 'removed', text: removed });
    if (added !== '') parts.push({ kind: 'added', text: added });
    removed = '';
    added = '';
  };
  const change = (): void => {
    if (same !== '') {
      flush();
      parts.push({ kind: 'same', text: same });
      same = '';
    }
    if (blanks !== '') {
      removed += blanks;
      added += blanks;
      blanks = '';
    }
  };
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && keptA[i] === 0) {
      change();
      removed += a[i++] ?? '';
    } else if (j < b.length && keptB[j] === 0) {
      change();
      added += b[j++] ?? '';
    } else {
      const word = a[i] ?? '';
      const changed = removed !== '' || added !== '';
      if (same === '' && changed && word.trim() === '' && !word.includes('\n')) blanks += word;
      else {
        same += blanks + word;
        blanks = '';
      }
      i++;
      j++;
    }
  }
  flush();
  if (blanks + same !== '') parts.push({ kind: 'same', text: blanks + same });
  return parts;
}

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { diffWords, splitWords } from '../../../../src/core/view/word-diff.js';

const text = fc
  .array(
    fc.oneof(
      fc.constantFrom('a', 'b', 'c', ' ', ' ', '\n', '数', '据', '24', '.', '👍'),
      fc.string({ unit: 'binary', maxLength: 3 }),
    ),
    {
      maxLength: 60,
    },
  )
  .map((parts) => parts.join(''));

const side = (parts: ReturnType<typeof diffWords>, without: 'added' | 'removed'): string =>
  parts
    .filter(({ kind }) => kind !== without)
    .map((part) => part.text)
    .join('');

/** Longest common subsequence by the plain table. */
function commonWords(a: readonly string[], b: readonly string[]): number {
  let row = new Array<number>(b.length + 1).fill(0);
  for (const word of a) {
    const next = [0];
    for (const [j, other] of b.entries()) {
      next.push(word === other ? (row[j] ?? 0) + 1 : Math.max(row[j + 1] ?? 0, next[j] ?? 0));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

describe('splitWords', () => {
  it('keeps every character', () => {
    fc.assert(
      fc.property(text, (one) => {
        expect(splitWords(one).join('')).toBe(one);
      }),
    );
  });

  it('tells words, blanks, line ends and signs apart, and characters of scripts without blanks', () => {
    expect(splitWords('9.50 each,\n数据')).toEqual(['9', '.', '50', ' ', 'each', ',', '\n', '数', '据']);
  });
});

describe('diffWords', () => {
  it('holds both texts whole, whatever the limit', () => {
    fc.assert(
      fc.property(text, text, fc.integer({ min: 0, max: 40 }), (before, after, limit) => {
        const parts = diffWords(before, after, limit);
        expect(side(parts, 'added')).toBe(before);
        expect(side(parts, 'removed')).toBe(after);
      }),
    );
  });

  it('finds as much in common as there is', () => {
    const letters = fc.array(fc.constantFrom('x', 'y', 'z', '!'), { maxLength: 40 });
    fc.assert(
      fc.property(letters, letters, (a, b) => {
        // Signs and single letters, each a word of its own, and none a blank that would be given to both sides.
        const [before, after] = [a.join('.'), b.join('.')];
        const same = diffWords(before, after).filter(({ kind }) => kind === 'same');
        const found = same.reduce((sum, part) => sum + splitWords(part.text).length, 0);
        expect(found).toBe(commonWords(splitWords(before), splitWords(after)));
      }),
    );
  });

  it('says what a person would say', () => {
    expect(diffWords('Left: 40 - 11 = 29', 'Left: 40 - 12 = 28')).toEqual([
      { kind: 'same', text: 'Left: 40 - ' },
      { kind: 'removed', text: '11' },
      { kind: 'added', text: '12' },
      { kind: 'same', text: ' = ' },
      { kind: 'removed', text: '29' },
      { kind: 'added', text: '28' },
    ]);
    expect(diffWords('one two three', 'uno due tre')).toEqual([
      { kind: 'removed', text: 'one two three' },
      { kind: 'added', text: 'uno due tre' },
    ]);
    expect(diffWords('', '')).toEqual([]);
    expect(diffWords('same', 'same')).toEqual([{ kind: 'same', text: 'same' }]);
    expect(diffWords('', 'new')).toEqual([{ kind: 'added', text: 'new' }]);
  });

  it('compares a hundred thousand words, alike or nothing alike', () => {
    const many = Array.from({ length: 100_000 }, (_, i) => `w${i % 5000}`);
    const changed = many.map((word, i) => (i % 1000 === 7 ? 'other' : word));
    const parts = diffWords(many.join(' '), changed.join(' '));
    expect(parts.filter(({ kind }) => kind === 'added')).toHaveLength(100);
    const foreign = diffWords(many.join(' '), many.map((word) => `v${word}`).join('_'));
    expect(foreign.filter(({ kind }) => kind === 'removed').length).toBeGreaterThan(0);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TokenizedExample } from '../../../src/core/data.js';
import { spread, tokenTexts } from '../../../src/train/answers.js';
import { joinedMicrobatches, microbatches, toBatch } from '../../../src/train/batching.js';
import { addStats, emptyWindow, lossFigures } from '../../../src/train/meter.js';

const place = { file: 'a', index: 0, line: 1 };
const example = (tokens: number[], groups: number[], mask: number[]): TokenizedExample => ({
  place,
  tokens: Int32Array.from(tokens),
  groups: Uint8Array.from(groups),
  mask: Uint8Array.from(mask),
  truncated: 0,
});

// Two prompt tokens, two completion tokens; then a sequence of one token.
const short = example([10, 11, 12, 13], [1, 1, 2, 2], [0, 0, 1, 1]);
const single = example([20], [1], [0]);

describe('joinedMicrobatches', () => {
  const of = (...lengths: number[]) => lengths.map((length) => [example(Array(length).fill(1), [], [])]);
  const lengths = (batches: readonly (readonly TokenizedExample[])[]) =>
    batches.map((batch) => batch.map(({ tokens }) => tokens.length));

  it('joins neighbours in their order, as long as they have no more tokens than asked for', () => {
    expect(lengths(joinedMicrobatches(of(3, 4, 3, 9, 1, 12, 2), 10))).toEqual([[3, 4, 3], [9, 1], [12], [2]]);
    expect(lengths(joinedMicrobatches(of(3, 4), 0))).toEqual([[3], [4]]);
    expect(joinedMicrobatches([], 10)).toEqual([]);
  });

  it('loses and reorders nothing, whatever the lengths', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 30 })), fc.nat(100), (all, most) => {
        const joined = joinedMicrobatches(of(...all), most);
        expect(lengths(joined).flat()).toEqual(all);
        for (const batch of lengths(joined)) {
          if (batch.length > 1) expect(batch.reduce((sum, length) => sum + length)).toBeLessThanOrEqual(most);
        }
      }),
    );
  });
});

describe('toBatch', () => {
  it('predicts the next token of the same sequence, and nothing at its end', () => {
    const batch = toBatch([short, single, short], 'everything');
    expect([...batch.offsets]).toEqual([0, 4, 5, 9]);
    expect([...batch.tokens]).toEqual([10, 11, 12, 13, 20, 10, 11, 12, 13]);
    expect([...batch.targets]).toEqual([11, 12, 13, 0, 0, 11, 12, 13, 0]);
    expect([...batch.weights]).toEqual([0, 1, 1, 0, 0, 0, 1, 1, 0]);
    expect([...batch.groups]).toEqual([1, 2, 2, 0, 0, 1, 2, 2, 0]);
  });

  it('leaves prompt tokens out where they are neither trained on nor measured', () => {
    expect([...toBatch([short], 'completions').groups]).toEqual([0, 2, 2, 0]);
  });

  it('keeps prompt tokens that are trained on', () => {
    const all = example([10, 11, 12], [1, 1, 2], [0, 1, 1]);
    const batch = toBatch([all], 'completions');
    expect([...batch.groups]).toEqual([1, 2, 0]);
    expect([...batch.weights]).toEqual([1, 1, 0]);
  });

  it('measures completion tokens that are not trained on', () => {
    expect([...toBatch([example([1, 2, 3], [1, 2, 2], [0, 0, 1])], 'completions').groups]).toEqual([2, 2, 0]);
  });

  it('weighs exactly the masked tokens, whatever the examples', () => {
    const token = fc.record({ token: fc.nat(99), group: fc.constantFrom(1, 2), mask: fc.constantFrom(0, 1) });
    fc.assert(
      fc.property(fc.array(fc.array(token, { minLength: 1, maxLength: 9 }), { minLength: 1 }), (sequences) => {
        const batch = toBatch(
          sequences.map((tokens) =>
            example(
              tokens.map((t) => t.token),
              tokens.map((t) => t.group),
              tokens.map((t) => t.mask),
            ),
          ),
          'completions',
        );
        const masked = sequences.flatMap((tokens) => tokens.slice(1)).filter(({ mask }) => mask === 1).length;
        expect(batch.weights.reduce((sum, weight) => sum + weight, 0)).toBe(masked);
        expect(batch.weights.every((weight, i) => weight === 0 || (batch.groups[i] ?? 0) > 0)).toBe(true);
      }),
    );
  });
});

describe('microbatches', () => {
  it('cuts, the last one smaller', () => {
    expect(microbatches([1, 2, 3, 4, 5], 2)).toEqual([[1, 2], [3, 4], [5]]);
    expect(microbatches([], 2)).toEqual([]);
  });
});

describe('loss windows', () => {
  const stats = (tokens: number, loss: number) => ({
    weightedLoss: loss,
    weight: tokens,
    prompt: { tokens: 0, loss: 0, entropy: 0, correct: 0 },
    completion: { tokens, loss, entropy: 2 * tokens, correct: tokens / 2 },
  });

  it('are means over tokens, not over steps', () => {
    const window = addStats(addStats(emptyWindow(), stats(10, 10)), stats(30, 60));
    expect(window.weightedLoss / window.weight).toBe(1.75);
    expect(lossFigures(window.prompt, window.completion)).toEqual({
      promptLoss: null,
      completionLoss: 1.75,
      tokenAccuracy: 0.5,
      entropy: 2,
    });
  });

  it('fall back to all tokens where there are no completions', () => {
    const prompt = { tokens: 4, loss: 8, entropy: 4, correct: 1 };
    expect(lossFigures(prompt, { tokens: 0, loss: 0, entropy: 0, correct: 0 })).toEqual({
      promptLoss: 2,
      completionLoss: null,
      tokenAccuracy: 0.25,
      entropy: 1,
    });
  });
});

describe('answers', () => {
  it('are of records spread evenly over the set', () => {
    expect(spread(10, 3)).toEqual([0, 3, 6]);
    expect(spread(3, 10)).toEqual([0, 1, 2]);
    expect(spread(0, 4)).toEqual([]);
    expect(spread(5, 0)).toEqual([]);
  });

  it('give each token the text it adds, characters of several tokens to the last', async () => {
    const bytes = [[0x61], [0x20, 0x62], [0xc3], [0xbc], [0xc3]];
    const decode = async (tokens: Int32Array) =>
      Buffer.from([...tokens].flatMap((token) => bytes[token] ?? [])).toString('utf8');
    expect(await tokenTexts({ decode }, Int32Array.of(0, 1, 2, 3, 0))).toEqual(['a', ' b', '', 'ü', 'a']);
    expect((await tokenTexts({ decode }, Int32Array.of(0, 4))).join('')).toBe('a\uFFFD');
  });
});

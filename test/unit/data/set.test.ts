import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Example, TokenizedExample } from '../../../src/core/data.js';
import { permutation, Random } from '../../../src/core/random.js';
import { MemoryFeed } from '../../../src/data/set/feed.js';
import { detectLabels, promptKey } from '../../../src/data/set/normal.js';
import { PackedExamples } from '../../../src/data/set/packed.js';
import { split, subset } from '../../../src/data/set/split.js';

function ask(index: number, prompt: string): { example: Example } {
  const place = { file: 'x.jsonl', index, line: index + 1 };
  return {
    example: {
      kind: 'chat',
      place,
      messages: [
        { role: 'user', content: prompt },
        { role: 'assistant', content: 'x' },
      ],
    },
  };
}

describe('split', () => {
  test('equal prompts never stand on both sides, nothing is lost, and the size is near', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(30), { minLength: 20, maxLength: 200 }), fc.nat(1000), (prompts, seed) => {
        fc.pre(new Set(prompts).size > 5);
        const records = prompts.map((prompt, i) => ask(i, i % 2 === 0 ? `Prompt ${prompt}` : `  prompt  ${prompt} `));
        const { train, held } = split(records, 0.25, seed);
        const keys = new Set(train.map(({ example }) => promptKey(example)));
        expect(held.some(({ example }) => keys.has(promptKey(example)))).toBe(false);
        expect(train.length + held.length).toBe(records.length);
        const largest = Math.max(
          ...[...new Set(prompts)].map((one) => prompts.filter((other) => other === one).length),
        );
        expect(Math.abs(held.length - Math.round(records.length / 4))).toBeLessThanOrEqual(largest);
      }),
    );
  });

  test('depends on the seed alone', () => {
    const records = Array.from({ length: 50 }, (_, i) => ask(i, `p${i}`));
    expect(split(records, 10, 1)).toEqual(split(records, 10, 1));
    expect(split(records, 10, 1).held).not.toEqual(split(records, 10, 2).held);
    expect(split(records, 10, 1).held).toHaveLength(10);
  });

  test('a set that cannot be split is an error', () => {
    expect(() => split([ask(0, 'a'), ask(1, 'a')], 0.5, 1)).toThrow(/cannot be split/);
  });

  test('a subset keeps the order', () => {
    const chosen = subset([...'abcdefghij'], 4, 7, 1);
    expect(chosen).toHaveLength(4);
    expect([...chosen]).toEqual([...chosen].sort());
    expect(subset([1, 2, 3], 0, 7, 1)).toEqual([1, 2, 3]);
  });
});

describe('labels', () => {
  test('few, short and repeated answers are labels, most frequent first', () => {
    expect(detectLabels(['Yes', 'no', 'yes ', 'YES', 'no', 'No', 'yes'])).toEqual(['Yes', 'no']);
  });
  test.each([
    ['answers that are all different', ['a', 'b', 'c', 'd']],
    ['one answer', ['a', 'a', 'a']],
    ['answers of several lines', ['a\nb', 'a\nb', 'c', 'c', 'c', 'a\nb']],
    ['long answers', Array<string>(6).fill('x'.repeat(100))],
  ])('%s are not', (_name, answers) => expect(detectLabels(answers)).toBeUndefined());
});

describe('random', () => {
  test('a permutation holds every number once', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 500 }), fc.nat(), (count, seed) => {
        expect([...permutation(count, new Random(seed))].sort((a, b) => a - b)).toEqual(
          Array.from({ length: count }, (_, i) => i),
        );
      }),
    );
  });
  test('numbers below a bound are even', () => {
    const random = new Random(5);
    const counts = new Array<number>(6).fill(0);
    for (let i = 0; i < 60_000; i++) {
      const value = random.below(6);
      counts[value] = (counts[value] ?? 0) + 1;
    }
    for (const found of counts) expect(Math.abs(found - 10_000)).toBeLessThan(500);
  });
  test('seeds and streams differ', () => {
    const first = [new Random(1), new Random(2), new Random(1, 1), new Random(1, 2), new Random(2 ** 33 + 1)].map(
      (random) => random.uint32(),
    );
    expect(new Set(first).size).toBe(first.length);
  });
});

describe('the feed', () => {
  const packed = new PackedExamples();
  for (let index = 0; index < 10; index++) {
    packed.add({
      place: { file: 'x', index, line: index },
      tokens: new Int32Array(index + 1),
      groups: new Uint8Array(index + 1),
      mask: new Uint8Array(index + 1).fill(1, index),
      truncated: 0,
    });
  }
  const indexes = (found: readonly TokenizedExample[]): number[] => found.map(({ place }) => place.index);

  test('gives each example once an epoch, in another order each time, and goes on where it is sent', async () => {
    const feed = new MemoryFeed(packed, { seed: 3, shuffle: true });
    await feed.seek(0, 0);
    const first = indexes([...(await feed.next(4)), ...(await feed.next(4)), ...(await feed.next(4))]);
    expect(await feed.next(4)).toEqual([]);
    expect([...first].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    await feed.seek(1, 0);
    expect(indexes(await feed.next(10))).not.toEqual(first);
    await feed.seek(0, 7);
    expect(indexes(await feed.next(10))).toEqual(first.slice(7));
  });

  test('knows its largest batch before it hands it out', async () => {
    const feed = new MemoryFeed(packed, { seed: 3, shuffle: true });
    const most = { tokens: 0, longest: 0, trained: 0 };
    for (let epoch = 0; epoch < 3; epoch++) {
      await feed.seek(epoch, 0);
      for (;;) {
        const batch = await feed.next(4);
        if (batch.length === 0) break;
        const lengths = batch.map(({ tokens }) => tokens.length);
        most.tokens = Math.max(
          most.tokens,
          lengths.reduce((sum, length) => sum + length, 0),
        );
        most.longest = Math.max(most.longest, ...lengths);
        most.trained = Math.max(most.trained, batch.length);
      }
    }
    expect(feed.largest(4, 3)).toEqual(most);
    expect(feed.largest(4, 1).tokens).toBeLessThanOrEqual(most.tokens);
    const inOrder = new MemoryFeed(packed, { seed: 3, shuffle: false });
    expect(inOrder.largest(4, 9)).toEqual({ tokens: 26, longest: 10, trained: 4 });
  });

  test('without shuffling keeps the order of the file', async () => {
    const feed = new MemoryFeed(packed, { seed: 3, shuffle: false });
    await feed.seek(5, 0);
    expect(indexes(await feed.next(10))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });
});

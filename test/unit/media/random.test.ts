import { describe, expect, it } from 'vitest';
import { Random } from '../../../media/recipe/random.js';

const mask = (value: bigint): bigint => BigInt.asUintN(64, value);

/** One output of splitmix64 (Steele, Lea, Flood 2014) whose state was `state` before. */
function splitmix64(state: bigint): bigint {
  let z = mask(state + 0x9e3779b97f4a7c15n);
  z = mask((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = mask((z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return z ^ (z >> 31n);
}

/** PCG32 as its paper writes it, with 64-bit integers. */
function* reference(state: bigint): Generator<number> {
  for (;;) {
    const shifted = Number((((state >> 18n) ^ state) >> 27n) & 0xffffffffn);
    const turn = Number(state >> 59n);
    yield ((shifted >>> turn) | (shifted << (-turn & 31))) >>> 0;
    state = mask(state * 6364136223846793005n + 1442695040888963407n);
  }
}

describe('Random', () => {
  it('is PCG32', () => {
    const expected = reference(splitmix64(splitmix64(7n ^ BigInt('s'.charCodeAt(0)))));
    expected.next();
    const random = new Random(7, 's');
    for (let i = 0; i < 1000; i++) expect(random.uint32()).toBe(expected.next().value);
  });

  it('draws differently for another seed or another stream', () => {
    const draws = [new Random(7, 'a'), new Random(7, 'b'), new Random(8, 'a')].map((random) => random.uint32());
    expect(new Set(draws).size).toBe(3);
  });

  it('stays below the count, and reaches all below it', () => {
    const random = new Random(1);
    const seen = new Set(Array.from({ length: 500 }, () => random.below(6)));
    expect([...seen].sort()).toEqual([0, 1, 2, 3, 4, 5]);
  });
});

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { countLoss, hasLoss } from '../../../src/core/mask.js';

it('counts what it says of each token', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(5), { maxLength: 8 }),
      fc.constantFrom('completion' as const, 'all' as const),
      fc.integer({ min: 1, max: 30 }),
      (runs, lossOn, maxLength) => {
        const completion = runs.flatMap((length, i) => Array.from({ length }, () => i % 2 === 1));
        const kept = completion.slice(0, maxLength);
        const expected = kept.filter((one, index) => hasLoss(index, one, lossOn)).length;
        expect(countLoss(runs, lossOn, maxLength)).toBe(expected);
      },
    ),
  );
});

it('never counts the first token of a sequence', () => {
  expect(countLoss([0, 3], 'completion', 10)).toBe(2);
  expect(countLoss([3], 'all', 10)).toBe(2);
  expect(countLoss([3], 'completion', 10)).toBe(0);
  expect(countLoss([1, 3, 2, 4], 'completion', 7)).toBe(4);
});

import { expect, it } from 'vitest';
import { countLoss } from '../../../src/core/mask.js';
import { noFilter } from '../../../src/core/view/preview.js';
import { runsOf } from '../../../src/data/view/examine.js';
import { textTest } from '../../../src/editor/preview/match.js';
import { RowTable } from '../../../src/editor/preview/table.js';

it('sums tokens, loss and cuts under any mask, and grows', () => {
  const table = new RowTable();
  for (let row = 0; row < 5000; row++) {
    table.add({ length: 10, turns: 2, runs: [6, 4], label: row % 2 === 0 ? 'yes' : 'no' });
  }
  expect(table.sums({ lossOn: 'completion', maxLength: 100 })).toMatchObject({
    tokens: 50_000,
    loss: 20_000,
    truncated: 0,
  });
  expect(table.sums({ lossOn: 'all', maxLength: 8 })).toMatchObject({ kept: 40_000, loss: 35_000, truncated: 5000 });
  expect(table.hasLabel(4998, 'yes')).toBe(true);
  expect(table.hasLabel(4999, 'yes')).toBe(false);
  expect(table.hasLabel(4999, '__proto__')).toBe(false);
});

it('keeps what it was told of each of many rows, in memory and in the temporary file', () => {
  const table = new RowTable();
  const count = 120_000;
  const runsAt = (row: number): number[] => Array.from({ length: row % 9 }, (_, i) => (row + i) % 50);
  const lengthAt = (row: number): number => runsAt(row).reduce((sum, run) => sum + run, 0);
  const masks = [
    { lossOn: 'all', maxLength: 1 << 20 },
    { lossOn: 'completion', maxLength: 70 },
  ] as const;
  for (let row = 0; row < count; row++) {
    table.add({ length: lengthAt(row), turns: row % 5, runs: runsAt(row), label: `label ${row % 3}` });
    if (row % 30_011 === 0) for (const mask of masks) table.sums(mask);
  }
  for (const { lossOn, maxLength } of masks) {
    const expected = { tokens: 0, kept: 0, loss: 0, truncated: 0 };
    for (let row = 0; row < count; row++) {
      const length = lengthAt(row);
      expected.tokens += length;
      expected.kept += Math.min(length, maxLength);
      expected.truncated += length > maxLength ? 1 : 0;
      expected.loss += countLoss(runsAt(row), lossOn, maxLength);
    }
    expect(table.sums({ lossOn, maxLength })).toMatchObject(expected);
  }
  for (let row = count - 1; row >= 0; row -= 997) {
    expect([table.length(row), table.turns(row)]).toEqual([lengthAt(row), row % 5]);
    expect([0, 1, 2].filter((label) => table.hasLabel(row, `label ${label}`))).toEqual([row % 3]);
  }
  table.close();
});

it('knows problems told before and after their rows, and what is cut off by the length', () => {
  const table = new RowTable();
  table.mark('exact-duplicate', 0);
  table.add({ length: 4, turns: 2, runs: [2, 2], label: undefined });
  table.mark('role-order', 0);
  table.add({ length: 0, turns: 0, runs: [], label: undefined });
  expect(table.hasProblem(0, 'exact-duplicate', 9)).toBe(true);
  expect(table.hasProblem(0, 'role-order', 9)).toBe(true);
  expect(table.hasProblem(1, 'role-order', 9)).toBe(false);
  expect(table.hasProblem(0, 'truncated', 3)).toBe(true);
  expect(table.hasProblem(0, 'truncated', 4)).toBe(false);
  expect(table.hasProblem(1, 'truncated', 1)).toBe(false);
});

it('groups become runs that begin with a prompt', () => {
  expect(runsOf(Uint8Array.of(1, 1, 2, 1, 2, 2))).toEqual([2, 1, 1, 2]);
  expect(runsOf(Uint8Array.of(2, 2))).toEqual([0, 2]);
  expect(runsOf(new Uint8Array())).toEqual([0]);
});

it('looks for text in values, however deep, and never in keys', () => {
  const record = { outer: [{ inner: 'Needle' }, 42, true, null], __proto__: 1 };
  const test = (text: string, rest = {}) => textTest({ ...noFilter, text, ...rest })(record, () => undefined);
  expect(test('needle')).toBe(true);
  expect(test('needle', { matchCase: true })).toBe(false);
  expect(test('inner')).toBe(false);
  expect(test('42')).toBe(true);
  expect(test('^n.*e$', { regex: true })).toBe(true);
  expect(test('needle', { scope: 'field:other' })).toBe(false);
  expect(test('needle', { scope: 'field:outer' })).toBe(true);
  expect(test('needle', { scope: 'field:toString' })).toBe(false);
  expect(() => test('(', { regex: true })).toThrow('Not a regular expression');
});

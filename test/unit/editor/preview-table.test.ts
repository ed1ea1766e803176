import { expect, it } from 'vitest';
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

import { expect, it } from 'vitest';
import { isMoving, listRuns, openExperiments } from '../../../src/editor/tree/listing.js';
import type { ExperimentRow, RunRow } from '../../../src/runs/run-rows.js';
import { experiment, row } from '../runs/rows.js';

const many = (count: number, state: RunRow['state'] = 'finished'): RunRow[] =>
  Array.from({ length: count }, (_, i) => row(`run-${i}`, state));

function opened(
  ...sizes: readonly (readonly [folder: string, changedAt: number, runs: readonly RunRow[]])[]
): string[] {
  const shown = sizes.map(([folder, changedAt, runs]): [ExperimentRow, readonly RunRow[]] => [
    { ...experiment(runs), folder, changedAt },
    runs,
  ]);
  return openExperiments(new Map(shown));
}

it('opens all experiments where they are few, of many runs the newest', () => {
  expect(opened(['a', 1, many(3)], ['b', 2, many(4)], ['c', 0, many(0)])).toEqual(['b', 'a', 'c']);
  const fifty = Array.from({ length: 50 }, (_, i) => [`e${i}`, i, many(100)] as const);
  expect(opened(...fifty)).toEqual(['e49', 'e48']);
  expect(opened(['old', 1, many(10)], ['huge', 2, many(5000)])).toEqual(['huge']);
  expect(opened()).toEqual([]);
});

it('opens what is being trained before what is newer', () => {
  const training = [...many(150), ...many(1, 'running')];
  expect(opened(['new', 3, many(100)], ['live', 1, training])).toEqual(['live']);
});

it('lists runs by words of their names and states, in an order', () => {
  const best = (value: number): Partial<RunRow> => ({ best: { metric: 'loss', set: 'eval', step: 1, value } });
  const runs = [
    { ...row('c', 'failed'), created: '2026-01-03', label: 'rate 10' },
    { ...row('a', 'finished'), created: '2026-01-01', label: 'rate 9', ...best(0.5) },
    { ...row('b', 'finished'), created: '2026-01-02', label: 'rate 2', ...best(0.25) },
  ];
  const names = (filter: string, order: Parameters<typeof isMoving>[0]['order']): string[] =>
    listRuns(experiment(runs), { filter, order }).map(({ name }) => name);
  expect(names('', 'created')).toEqual(['a', 'b', 'c']);
  expect(names('', 'name')).toEqual(['b', 'a', 'c']);
  expect(names('', 'best')).toEqual(['b', 'a', 'c']);
  expect(names('', 'state')[0]).toBe('c');
  expect(names('RATE failed', 'created')).toEqual(['c']);
  expect(names('rate nothing', 'created')).toEqual([]);
});

it('knows in which lists runs change places by themselves', () => {
  expect(isMoving({ filter: '', order: 'created' })).toBe(false);
  expect(isMoving({ filter: '', order: 'best' })).toBe(true);
  expect(isMoving({ filter: 'x', order: 'name' })).toBe(true);
});

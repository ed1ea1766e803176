import { describe, expect, it } from 'vitest';
import { RunEnds, tallyOf } from '../../../src/runs/run-ends.js';
import { experiment, row } from './rows.js';

const told = (ends: ReturnType<RunEnds['update']>): string[] =>
  ends.map((end) => (end.kind === 'run' ? `${end.row.name} ${end.ended}` : `comparison ${end.token}`));

describe('what has ended', () => {
  it('is told of runs that were seen alive, once', () => {
    const ends = new RunEnds();
    for (const state of ['finished', 'failed', 'interrupted', 'stopped'] as const) {
      expect(told(ends.update([row('a', 'running')], []))).toEqual([]);
      expect(told(ends.update([row('a', 'running')], []))).toEqual([]);
      expect(told(ends.update([row('a', state)], []))).toEqual([`a ${state}`]);
      expect(told(ends.update([row('a', state)], []))).toEqual([]);
    }
  });

  it('is not told of history', () => {
    const ends = new RunEnds();
    expect(ends.update([row('a', 'finished'), row('b', 'failed'), row('c', 'interrupted')], [])).toEqual([]);
  });

  it('is told of a run that was started here and failed before anybody saw it alive', () => {
    const ends = new RunEnds();
    ends.expect('/e/a', true);
    expect(ends.update([row('a', 'queued')], [])).toEqual([]);
    expect(told(ends.update([row('a', 'failed')], []))).toEqual(['a failed']);
  });

  it('is told of a comparison once, and of its runs that went wrong', () => {
    const ends = new RunEnds();
    const live = experiment([], 't');
    expect(ends.update([row('a', 'running')], [live])).toEqual([]);
    expect(ends.update([row('a', 'finished'), row('b', 'running')], [live])).toEqual([]);
    expect(told(ends.update([row('b', 'failed'), row('c', 'running')], [live]))).toEqual(['b failed']);
    expect(ends.update([row('c', 'finished')], [live])).toEqual([]);
    const over = experiment([row('a', 'finished'), row('b', 'failed'), row('c', 'finished')]);
    expect(told(ends.update([], [over]))).toEqual(['comparison t']);
    expect(ends.update([], [over])).toEqual([]);
    expect(tallyOf(over)).toEqual({ finished: 2, failed: 1, interrupted: 0, stopped: 0, left: 0 });
  });

  it('counts runs of a comparison that was stopped and those that never began', () => {
    expect(tallyOf(experiment([row('a', 'finished'), row('b', 'stopped')]))).toEqual({
      finished: 1,
      failed: 0,
      interrupted: 0,
      stopped: 1,
      left: 1,
    });
  });
});

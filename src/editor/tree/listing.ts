/** Which runs the sidebar shows, in which order, and which experiments stand open by themselves. */

import type { ExperimentRow, RunRow } from '../../runs/run-rows.js';

export type Order = 'created' | 'name' | 'best' | 'state';

/** Orders in which runs change places as they train. */
const moving: ReadonlySet<Order> = new Set(['best', 'state']);

/** Runs that may be seen without a click: of thousands of rows nobody reads most, and the editor takes its time for each. */
const openRuns = 200;

export interface Listing {
  /** Words of a run's name, its experiment or its state, in any order; empty: all. */
  readonly filter: string;
  readonly order: Order;
}

/** Whether runs come, go and change places without their experiment's doing. */
export function isMoving({ filter, order }: Listing): boolean {
  return filter !== '' || moving.has(order);
}

/** The runs of an experiment that are shown, in any order: that is cheap where nothing is filtered. */
export function shownRuns({ name, label, runs }: ExperimentRow, filter: string): readonly RunRow[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return runs;
  return runs.filter((row) => {
    const text = `${name} ${label} ${row.label} ${row.name} ${row.state}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

/** The runs of an experiment as they stand. */
export function listRuns(experiment: ExperimentRow, { filter, order }: Listing): RunRow[] {
  return [...shownRuns(experiment, filter)].sort(orders[order]);
}

/**
 * Folders of the experiments that are to stand open: those being trained, then the newest, as long as they are not too many to read;
 * one at least.
 *
 * @param shown runs of each experiment that are shown
 */
export function openExperiments(shown: ReadonlyMap<ExperimentRow, readonly RunRow[]>): string[] {
  const ranked = Array.from(shown, ([{ folder, changedAt }, rows]) => {
    const live = rows.some(({ state }) => state === 'running');
    return { folder, changedAt, live, count: rows.length };
  }).sort((a, b) => Number(b.live) - Number(a.live) || b.changedAt - a.changedAt);
  const open: string[] = [];
  let room = openRuns;
  for (const { folder, count } of ranked) {
    if (count > room && open.length > 0) break;
    open.push(folder);
    room -= count;
  }
  return open;
}

const { compare: compareNames } = new Intl.Collator(undefined, { numeric: true });
const byName = (a: RunRow, b: RunRow): number => compareNames(a.label, b.label);
/** Times in ISO 8601. */
const byTime = (a = '', b = ''): number => (a < b ? -1 : Number(a > b));
const urgency: readonly RunRow['state'][] = ['running', 'failed', 'interrupted', 'stopped', 'queued', 'finished'];

/** The better first: accuracy before loss, since a run with answers says more. */
function quality({ best }: RunRow): number {
  if (best === undefined) return Number.NEGATIVE_INFINITY;
  return best.metric === 'accuracy' ? 1e6 + best.value : -best.value;
}

const orders: Readonly<Record<Order, (a: RunRow, b: RunRow) => number>> = {
  created: (a, b) => byTime(a.created, b.created) || byName(a, b),
  name: byName,
  best: (a, b) => quality(b) - quality(a) || byName(a, b),
  state: (a, b) => urgency.indexOf(a.state) - urgency.indexOf(b.state) || byName(a, b),
};

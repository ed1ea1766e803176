/**
 * Which runs and comparisons have ended while somebody looked: what a person is told of. History is none: a run counts once it was
 * seen alive, or was started from here.
 */

import type { ExperimentRow, RunRow } from './run-rows.js';

export type Ended =
  | { readonly kind: 'run'; readonly row: RunRow; readonly ended: EndedState }
  /** `token` names the process that worked through it. */
  | { readonly kind: 'comparison'; readonly folder: string; readonly token: string };

export type EndedState = Extract<RunRow['state'], 'finished' | 'failed' | 'interrupted' | 'stopped'>;

/** How many runs of a comparison ended how; `left` never began. */
export type Tally = Readonly<Record<EndedState | 'left', number>>;

export class RunEnds {
  /** Runs seen alive, or waited for; true: alone, not as part of a comparison under way. */
  private readonly live = new Map<string, boolean>();
  /** Comparisons under way, and by whom. */
  private readonly comparisons = new Map<string, string>();

  /** A run that was started from here is told of even if it ends before anybody saw it alive. */
  expect(folder: string, alone: boolean): void {
    if (!this.live.has(folder)) this.live.set(folder, alone);
  }

  /**
   * @param changed runs that changed
   * @param experiments all of them
   */
  update(changed: readonly RunRow[], experiments: readonly ExperimentRow[]): Ended[] {
    const held = new Map(
      experiments.flatMap(({ folder, holder }) => (holder === undefined ? [] : [[folder, holder.token]])),
    );
    const ended: Ended[] = [];
    for (const row of changed) {
      if (row.state === 'running') {
        this.live.set(row.folder, !held.has(row.experimentFolder));
        continue;
      }
      const alone = this.live.get(row.folder);
      if (alone === undefined || row.state === 'queued') continue;
      this.live.delete(row.folder);
      // Of a comparison, one word at its end stands for all that went well or was stopped with it.
      const told = alone || row.state === 'failed' || row.state === 'interrupted';
      if (told) ended.push({ kind: 'run', row, ended: row.state });
    }
    for (const [folder, token] of this.comparisons) {
      if (held.has(folder)) continue;
      this.comparisons.delete(folder);
      ended.push({ kind: 'comparison', folder, token });
    }
    for (const [folder, token] of held) this.comparisons.set(folder, token);
    return ended;
  }
}

/** Of a comparison that has ended. */
export function tallyOf({ comparison, runs }: ExperimentRow): Tally {
  const tally = { finished: 0, failed: 0, interrupted: 0, stopped: 0, left: 0 };
  const states = new Map(runs.map(({ name, state }) => [name, state]));
  for (const { name } of comparison?.runs ?? []) {
    const state = states.get(name);
    if (state === undefined || state === 'queued') tally.left++;
    // Goes on without the comparison that began it; it is told of when it ends.
    else if (state === 'running') tally.interrupted++;
    else tally[state]++;
  }
  return tally;
}

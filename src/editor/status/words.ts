/** What the status bar says. */

import { formatProgress, remainingSeconds } from '../../core/progress.js';
import { formatDuration } from '../../core/units.js';
import type { RunRow } from '../../runs/run-rows.js';

type Live = Pick<RunRow, 'step' | 'totalSteps' | 'trainSeconds' | 'loss'>;

/**
 * @param place of the only run in its comparison
 */
export function statusText(live: readonly Live[], place?: string): string {
  const [first] = live;
  if (first === undefined) return '';
  const [how, left] = live.length === 1 ? [formatProgress(first), remainingSeconds(first)] : together(live);
  const parts = live.length > 1 ? [`${live.length} runs`] : place === undefined ? [] : [place];
  parts.push(how);
  if (left !== null) parts.push(`${formatDuration(left)} left`);
  return parts.join(' · ');
}

/** Of all steps of all runs; the time of the one that takes longest. */
function together(live: readonly Live[]): [string, number | null] {
  const known = live.every(({ totalSteps }) => totalSteps > 0);
  const step = live.reduce((sum, run) => sum + run.step, 0);
  const totalSteps = known ? live.reduce((sum, run) => sum + run.totalSteps, 0) : 0;
  const left = live.map(remainingSeconds);
  const longest = left.includes(null) ? null : Math.max(...left.map((seconds) => seconds ?? 0));
  return [formatProgress({ step, totalSteps, trainSeconds: null }), longest];
}

/** step 12 of 60 (20 %) · loss 0.1234 · 1:05 left */
export function describeRun(run: Live): string {
  const { step, totalSteps, loss } = run;
  const left = remainingSeconds(run);
  const number = (value: number): string => value.toLocaleString('en-US');
  return [
    totalSteps > 0 ? `step ${number(step)} of ${number(totalSteps)} (${formatProgress(run)})` : `step ${number(step)}`,
    ...(loss === undefined ? [] : [`loss ${loss.toFixed(4)}`]),
    ...(left === null ? [] : [`${formatDuration(left)} left`]),
  ].join(' · ');
}

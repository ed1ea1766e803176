/** What a person is told when a run or a comparison has ended. */

import { formatDuration } from '../../core/units.js';
import { type EndedState, tallyOf } from '../../runs/run-ends.js';
import type { ExperimentRow, RunRow } from '../../runs/run-rows.js';

/** Characters of a failure's reason. */
const longestReason = 240;

export interface Telling {
  readonly severity: 'info' | 'warning' | 'error';
  readonly text: string;
}

export function tellingOfRun(row: RunRow, ended: EndedState): Telling {
  const name = `“${row.label}”`;
  const at = `at step ${row.step.toLocaleString('en-US')}${row.totalSteps > 0 ? ` of ${row.totalSteps.toLocaleString('en-US')}` : ''}`;
  switch (ended) {
    case 'finished': {
      const parts = [`${row.step.toLocaleString('en-US')} steps in ${formatDuration(row.trainSeconds)}`];
      if (row.best !== undefined) parts.push(bestText(row.best));
      return { severity: 'info', text: `${name} finished: ${parts.join(', ')}.` };
    }
    case 'failed':
      return { severity: 'error', text: `${name} failed ${at}: ${inShort(row.reason ?? 'no reason was logged')}` };
    case 'interrupted':
      return {
        severity: 'warning',
        text: `${name} was interrupted ${at}: its process was killed, or the machine ran out of memory. Resume goes on from the last checkpoint.`,
      };
    case 'stopped':
      return { severity: 'info', text: `${name} was stopped ${at}, and saved.` };
  }
}

/** @param best the report's sentence on the best run */
export function tellingOfComparison(experiment: ExperimentRow, best: string | undefined): Telling {
  const { finished, failed, interrupted, stopped, left } = tallyOf(experiment);
  const parts = [
    `${finished} finished`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(interrupted > 0 ? [`${interrupted} interrupted`] : []),
    ...(stopped > 0 ? [`${stopped} stopped`] : []),
    ...(left > 0 ? [`${left} not begun`] : []),
  ];
  const whole = failed + interrupted + stopped + left === 0;
  return {
    severity: whole ? 'info' : 'warning',
    text: `The comparison “${experiment.label}” ${stopped + left > 0 ? 'was stopped' : 'has ended'}: ${parts.join(', ')}.${best === undefined ? '' : ` ${best}.`}`,
  };
}

/** What went wrong, in short: the advice and long lists of places are in the log. */
function inShort(reason: string): string {
  const line = reason.split('\n')[0]?.trim() ?? '';
  return line.length <= longestReason ? line : `${line.slice(0, longestReason - 1)}…`;
}

function bestText({ metric, value, set }: NonNullable<RunRow['best']>): string {
  return metric === 'accuracy'
    ? `accuracy ${(100 * value).toFixed(1)} % on ${set}`
    : `loss ${value.toFixed(4)} on ${set}`;
}

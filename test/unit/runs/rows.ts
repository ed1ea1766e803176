/** Rows as the list of runs has them, made up. */

import type { LockContent } from '../../../src/runs/lock.js';
import type { ExperimentRow, RunRow } from '../../../src/runs/run-rows.js';

const holder = (token: string): LockContent => ({
  v: 1,
  token,
  pid: 1,
  processStart: null,
  boot: '',
  pidSpace: '',
  host: '',
  monotonic: 0,
  beats: 0,
});

export function row(name: string, state: RunRow['state'], experiment = '/e'): RunRow {
  return {
    folder: `${experiment}/${name}`,
    name,
    label: name,
    experiment,
    experimentFolder: experiment,
    experimentLabel: experiment,
    kind: 'train',
    state,
    reason: undefined,
    step: 1,
    totalSteps: 2,
    epoch: 0,
    loss: undefined,
    best: undefined,
    secondsPerStep: undefined,
    tokensPerSecond: undefined,
    trainSeconds: 1,
    created: undefined,
    startedAt: undefined,
    updatedAt: undefined,
    configFile: undefined,
    config: {},
    holder: state === 'running' ? holder(name) : undefined,
  };
}

export function experiment(runs: readonly RunRow[], token?: string): ExperimentRow {
  const comparison: ExperimentRow['comparison'] = {
    v: 1,
    name: 'e',
    created: '2026-01-01T00:00:00Z',
    configFile: null,
    digest: '',
    axes: {},
    runs: ['a', 'b', 'c'].map((name) => ({ name, label: name, values: {} })),
    baseline: null,
  };
  return {
    folder: '/e',
    name: 'e',
    label: 'e',
    comparison,
    holder: token === undefined ? undefined : holder(token),
    changedAt: 0,
    runs,
  };
}

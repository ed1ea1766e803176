/** Runs for the charts' bench, as the extension sends them: facts as JSON, points as columns in one `ArrayBuffer` a run. */

import { columnNames } from '../../../src/core/view/columns.js';
import type { PanelRun } from '../../../src/core/view/run-panel.js';

export interface BenchRun {
  readonly info: PanelRun;
  readonly points: ArrayBuffer;
}

/** Points of a run from one step on: a falling loss with noise and spikes, and figures of the size that real runs have. */
export function makePoints(run: number, from: number, count: number): ArrayBuffer {
  const random = lcg(run * 7919 + from + 1);
  const packed = new Float32Array(columnNames.length * count);
  const set = (name: (typeof columnNames)[number], i: number, value: number): void => {
    packed[columnNames.indexOf(name) * count + i] = value;
  };
  for (let i = 0; i < count; i++) {
    const step = from + i + 1;
    const noise = (random() + random() + random() - 1.5) * 0.4;
    const loss = 0.4 + (2.2 + run * 0.05) / (1 + step / 3000) + noise * 0.5 + (random() < 0.0005 ? 2 : 0);
    set('step', i, step);
    set('epoch', i, step / 10_000);
    set('tokens', i, step * 2048);
    set('time', i, step * (0.2 + run * 0.01));
    set('loss', i, loss);
    set('completionLoss', i, loss * 0.9);
    set('promptLoss', i, loss * 1.8 + noise * 0.2);
    set('tokenAccuracy', i, Math.min(1, Math.max(0, 0.9 - loss * 0.2)));
    set('entropy', i, Math.max(0, loss * 0.8 + noise * 0.1));
    set('learningRate', i, 2e-4 * Math.min(1, step / 500) * (1 - step / 60_000));
    set('gradNorm', i, 1 + Math.abs(noise) * 3 + (random() < 0.001 ? 20 : 0));
    set('tokensPerSecond', i, 9000 + noise * 800 - run * 100);
    set('memory', i, 3e9 + Math.floor(random() * 4) * 1e7);
    set('processMemory', i, 4e9 + step * 100);
  }
  return packed.buffer;
}

export function makeInfo(run: number, step: number, live: boolean): PanelRun {
  const evaluations = Array.from({ length: 20 }, (_, i) => i + 1).flatMap((part) =>
    ['held-out', 'other'].map((set, at) => {
      const loss = 0.5 + at * 0.2 + 2 / (1 + part / 2) + run * 0.01;
      return {
        set,
        step: Math.round((step * part) / 20),
        epoch: (step * part) / 20 / 10_000,
        values: {
          loss,
          completionLoss: loss * 0.9,
          promptLoss: loss * 1.8,
          accuracy: 0.9 - loss * 0.2,
          kappa: 0.85 - loss * 0.2,
          meanScore: 1.5 - loss * 0.3,
          tokenAccuracy: 0.9 - loss * 0.2,
          entropy: loss * 0.8,
        },
      };
    }),
  );
  return {
    key: `/lab/.sft/bench/run-${run}`,
    name: `run-${run}`,
    label: `learning rate 2e-4, seed ${run}`,
    experiment: 'bench',
    kind: 'train',
    state: live ? 'running' : 'finished',
    reason: null,
    created: '2026-11-21T10:00:00.000Z',
    step,
    totalSteps: 60_000,
    stepsPerEpoch: 10_000,
    trainSeconds: step * 0.2,
    remainingSeconds: live ? 600 : null,
    device: 'cpu',
    trainableParameters: 1_050_000,
    config: Object.fromEntries([
      ...Array.from({ length: 40 }, (_, i) => [`option_${i}`, 'the same for all']),
      ['seed', String(run)],
    ]),
    evaluations,
    checkpoints: [10_000, 20_000, 30_000, 40_000, 50_000].filter((at) => at <= step),
    warnings: 0,
  };
}

export function makeRuns(runs: number, points: number, live = false): BenchRun[] {
  return Array.from({ length: runs }, (_, run) => ({
    info: makeInfo(run, points, live),
    points: makePoints(run, 0, points),
  }));
}

/** Numbers between 0 and 1, the same each time. */
function lcg(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

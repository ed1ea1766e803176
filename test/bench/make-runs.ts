/** Made-up run folders, as a year of experiments would leave them. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EventBody } from '../../src/core/events.js';
import { formatEvent } from '../../src/core/events.js';

export interface MadeRuns {
  readonly experiments: number;
  readonly runsEach: number;
  /** Training points in each log; an evaluation after every tenth of them. */
  readonly points: number;
}

export function trainBody(step: number): Extract<EventBody, { type: 'train' }> {
  const loss = 3 / (1 + step / 50) + 0.1 * Math.sin(step);
  return {
    type: 'train',
    step,
    epoch: step / 100,
    tokens: step * 812,
    lossTokens: 96,
    loss,
    promptLoss: loss + 2.25,
    completionLoss: loss,
    tokenAccuracy: 1 / (1 + loss),
    entropy: loss * 0.9,
    learningRate: 0.001 * Math.cos(step / 500),
    gradNorm: 1.5 + 0.5 * Math.sin(step / 3),
    tokensPerSecond: 21_000 + (step % 13),
    memory: { current: 210_000_000, peak: 350_000_000, process: 800_000_000 },
    trainSeconds: step * 0.04,
  };
}

function* bodies(points: number): Generator<EventBody> {
  yield { type: 'status', status: 'started', step: 0, totalSteps: points, trainSeconds: 0, pid: 1 };
  for (let step = 1; step <= points; step++) {
    yield trainBody(step);
    if (step % Math.max(1, Math.floor(points / 10)) !== 0) continue;
    yield {
      type: 'eval',
      set: 'eval',
      step,
      epoch: step / 100,
      examples: 402,
      loss: 1 / step,
      promptLoss: 2,
      completionLoss: 1 / step,
      tokenAccuracy: 0.9,
      entropy: 0.2,
      seconds: 1,
      answers: null,
    };
  }
  yield { type: 'status', status: 'finished', step: points, totalSteps: points, trainSeconds: points * 0.04 };
}

/** @returns the number of runs */
export function makeRuns(root: string, { experiments, runsEach, points }: MadeRuns): number {
  const time = new Date('2026-01-01T00:00:00Z');
  const log = [...bodies(points)].map((body, seq) => formatEvent(body, seq, time).line).join('');
  for (let e = 0; e < experiments; e++) {
    for (let r = 0; r < runsEach; r++) {
      const folder = join(root, `experiment-${e}`, `run-${r}`);
      mkdirSync(join(folder, 'checkpoints'), { recursive: true });
      writeFileSync(join(folder, 'run.json'), `${JSON.stringify(infoOf(e, r), null, 2)}\n`);
      writeFileSync(join(folder, 'events.jsonl'), log);
    }
  }
  return experiments * runsEach;
}

export function infoOf(experiment: number, run: number): Record<string, unknown> {
  return {
    v: 1,
    kind: 'train',
    name: `run-${run}`,
    label: `Completion-only, learning_rate=${run}e-5`,
    experiment: `experiment-${experiment}`,
    created: new Date(Date.UTC(2026, 0, 1, experiment, 0, run)).toISOString(),
    version: '0.1.0',
    configFile: `/home/user/experiments/experiment-${experiment}.sft.json`,
    config: {
      model_name_or_path: '/home/user/models/Qwen2.5-1.5B-Instruct',
      train_dataset: [{ path: '/home/user/experiments/tickets.train.jsonl' }],
      eval_dataset: { eval: [{ path: '/home/user/experiments/tickets.eval.jsonl' }] },
      learning_rate: run * 1e-5,
      seed: run,
      ...Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`option_number_${i}`, i])),
    },
    inputs: [{ path: '/home/user/experiments/tickets.train.jsonl', bytes: 123_456, digest: 'a'.repeat(64) }],
  };
}

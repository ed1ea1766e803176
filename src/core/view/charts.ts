/** What the run panel charts: for each chart, where its figures stand in the events. */

import type { BodyOf } from '../events.js';
import { formatBytes } from '../units.js';

export type ChartId =
  | 'loss'
  | 'completionLoss'
  | 'promptLoss'
  | 'accuracy'
  | 'kappa'
  | 'meanScore'
  | 'tokenAccuracy'
  | 'entropy'
  | 'learningRate'
  | 'gradNorm'
  | 'tokensPerSecond'
  | 'memory'
  | 'gpuBusy'
  | 'gpuMemory'
  | 'processMemory';

export interface ChartDefinition {
  readonly id: ChartId;
  readonly title: string;
  /** What the figures are, in one sentence. */
  readonly about: string;
  readonly unit: 'nats' | 'share' | 'plain' | 'bytes' | 'tokens/s';
  /** Which value is the best; null: none is. */
  readonly better: 'low' | 'high' | null;
  readonly train?: (event: BodyOf<'train'>) => number | null;
  readonly evaluation?: (event: BodyOf<'eval'>) => number | null;
}

export const charts: readonly ChartDefinition[] = [
  {
    id: 'loss',
    title: 'Loss',
    about: 'What is minimised: mean cross-entropy over the tokens trained on.',
    unit: 'nats',
    better: 'low',
    train: ({ loss }) => loss,
    evaluation: ({ loss }) => loss,
  },
  {
    id: 'accuracy',
    title: 'Accuracy',
    about: "Share of the model's own answers that are right.",
    unit: 'share',
    better: 'high',
    evaluation: ({ answers }) => answers?.accuracy ?? null,
  },
  {
    id: 'completionLoss',
    title: 'Completion loss',
    about: 'Mean cross-entropy over completion tokens: the same measure whatever a run trains on.',
    unit: 'nats',
    better: 'low',
    train: ({ completionLoss }) => completionLoss,
    evaluation: ({ completionLoss }) => completionLoss,
  },
  {
    id: 'promptLoss',
    title: 'Prompt loss',
    about: 'Mean cross-entropy over prompt tokens.',
    unit: 'nats',
    better: 'low',
    train: ({ promptLoss }) => promptLoss,
    evaluation: ({ promptLoss }) => promptLoss,
  },
  {
    id: 'kappa',
    title: "Cohen's kappa",
    about: 'Agreement with the references beyond chance.',
    unit: 'plain',
    better: 'high',
    evaluation: ({ answers }) => answers?.kappa ?? null,
  },
  {
    id: 'meanScore',
    title: 'Mean score',
    about: 'Mean of the scores for right and wrong answers.',
    unit: 'plain',
    better: 'high',
    evaluation: ({ answers }) => answers?.meanScore ?? null,
  },
  {
    id: 'tokenAccuracy',
    title: 'Token accuracy',
    about: 'Share of completion tokens that are the most likely ones.',
    unit: 'share',
    better: 'high',
    train: ({ tokenAccuracy }) => tokenAccuracy,
    evaluation: ({ tokenAccuracy }) => tokenAccuracy,
  },
  {
    id: 'entropy',
    title: 'Entropy',
    about: 'Mean entropy of the predictions of completion tokens: how undecided the model is.',
    unit: 'nats',
    better: null,
    train: ({ entropy }) => entropy,
    evaluation: ({ entropy }) => entropy,
  },
  {
    id: 'learningRate',
    title: 'Learning rate',
    about: 'As the schedule sets it.',
    unit: 'plain',
    better: null,
    train: ({ learningRate }) => learningRate,
  },
  {
    id: 'gradNorm',
    title: 'Gradient norm',
    about: 'Global norm before clipping.',
    unit: 'plain',
    better: null,
    train: ({ gradNorm }) => gradNorm,
  },
  {
    id: 'tokensPerSecond',
    title: 'Throughput',
    about: 'Tokens through the model in a second of training.',
    unit: 'tokens/s',
    better: null,
    train: ({ tokensPerSecond }) => tokensPerSecond,
  },
  {
    id: 'memory',
    title: 'Engine memory',
    about: "What the engine holds on the run's device.",
    unit: 'bytes',
    better: null,
    train: ({ memory }) => memory.current,
  },
  {
    id: 'gpuBusy',
    title: 'GPU use',
    about: 'Share of the time in which the card computed.',
    unit: 'share',
    better: null,
    train: ({ gpu }) => gpu?.busy ?? null,
  },
  {
    id: 'gpuMemory',
    title: 'GPU memory',
    about: "What is taken of the card's memory, by all processes.",
    unit: 'bytes',
    better: null,
    train: ({ gpu }) => gpu?.memory ?? null,
  },
  {
    id: 'processMemory',
    title: 'Process memory',
    about: "The trainer process's resident memory.",
    unit: 'bytes',
    better: null,
    train: ({ memory }) => memory.process,
  },
];

/** What a chart's figures are counted in, as its title says it; empty where they say it themselves or count nothing. */
export function unitName(unit: ChartDefinition['unit']): string {
  return unit === 'nats' || unit === 'tokens/s' ? unit : '';
}

/** A figure for people: as many digits as say something. */
export function formatFigure(value: number | null | undefined, unit: ChartDefinition['unit']): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  switch (unit) {
    case 'share':
      return `${(value * 100).toFixed(value === 1 || value === 0 ? 0 : 1)}%`;
    case 'bytes':
      return formatBytes(value);
    case 'tokens/s':
      return value >= 10_000 ? `${(value / 1000).toFixed(1)}k` : value.toFixed(0);
    case 'nats':
    case 'plain': {
      const size = Math.abs(value);
      if (size === 0) return '0';
      if (size < 1e-3 || size >= 1e5) return value.toExponential(2);
      return size < 1 ? value.toFixed(4) : size < 100 ? value.toFixed(3) : value.toFixed(1);
    }
  }
}

/** `1h 04m`, `3m 20s`, `12.4s`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)}s`;
  const minutes = Math.floor(seconds / 60);
  const pad = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  return minutes < 60 ? `${minutes}m ${pad(seconds % 60)}s` : `${Math.floor(minutes / 60)}h ${pad(minutes % 60)}m`;
}

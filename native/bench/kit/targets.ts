/** What is aimed at, by a figure's key: a bound on our value against the best peer's, or on our value alone. */

import type { Figure } from './trial.js';

export interface Target {
  /** `ratio`: ours over the best peer's; `value`: ours, in the figure's unit. */
  readonly of: 'ratio' | 'value';
  readonly bound: number;
}

const ratioOf = (bound: number): Target => ({ of: 'ratio', bound });
const oursOf = (bound: number): Target => ({ of: 'value', bound });

export const targets: Readonly<Record<string, Target>> = {
  'training.speed.full': ratioOf(2),
  'training.speed.lora': ratioOf(2),
  'training.speed-padded.full': ratioOf(4),
  'training.speed-padded.lora': ratioOf(4),
  'training.speed-padded-fp32.full': ratioOf(3),
  'training.speed-padded-fp32.lora': ratioOf(3),
  'training.share.full': oursOf(60),
  'training.share.lora': oursOf(60),
  'training.memory.full.fp32': ratioOf(0.6),
  'training.memory.full.bf16': ratioOf(0.6),
  'training.memory.lora.fp32': ratioOf(0.6),
  'training.memory.lora.bf16': ratioOf(0.6),
  'training.outside.full.fp32': oursOf(0.5),
  'training.outside.full.bf16': oursOf(0.5),
  'training.outside.lora.fp32': oursOf(0.5),
  'training.outside.lora.bf16': oursOf(0.5),
  'generate.speed': ratioOf(3),
  'generate.speed-even': ratioOf(3),
  'generate.speed-apart': ratioOf(3),
  'start.first-step': oursOf(1),
  'start.first-step-against': ratioOf(0.05),
};

/** The best peer's value, or undefined where no peer has one. */
export function bestPeer({ better, peers }: Figure): number | undefined {
  const values = Object.values(peers).filter((value) => value !== null);
  if (values.length === 0) return undefined;
  return better === 'more' ? Math.max(...values) : Math.min(...values);
}

/** Ours over the best peer's. */
export function ratio(figure: Figure): number | undefined {
  const peer = bestPeer(figure);
  return figure.ours === null || peer === undefined || peer === 0 ? undefined : figure.ours / peer;
}

/** Undefined where there is no target for the figure; false also where there is no value. */
export function isMet(figure: Figure, target: Target | undefined): boolean | undefined {
  if (target === undefined) return undefined;
  const value = target.of === 'ratio' ? ratio(figure) : (figure.ours ?? undefined);
  if (value === undefined) return false;
  return figure.better === 'more' ? value >= target.bound : value <= target.bound;
}

/** What is aimed at, by a figure's key: a bound on our value against the best peer's, or on our value alone. */

import type { Figure } from './trial.js';

export interface Target {
  /** `ratio`: ours over the best peer's; `value`: ours, in the figure's unit. */
  readonly of: 'ratio' | 'value';
  readonly bound: number;
}

export const targets: Readonly<Record<string, Target>> = {};

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

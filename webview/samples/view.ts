/** What the parts of the samples view share: the state they are functions of, and the ways to change it. */

import type { FromSamples, PromptDetail, SamplesQuery, SamplesRun, ToSamples } from '../../src/core/view/samples.js';

export type ListMessage = Extract<ToSamples, { type: 'list' }>;

export interface View {
  readonly query: SamplesQuery;
  readonly runs: readonly SamplesRun[];
  readonly sets: readonly string[];
  readonly list: ListMessage | undefined;
  readonly detail: PromptDetail | null;
  change(patch: Partial<SamplesQuery>): void;
  /** Shows the record at a place of the list. */
  select(position: number): void;
  send(message: FromSamples): void;
  /** Moves the focus from the list to what is selected in it. */
  enterDetail(): void;
}

export const verdictNames = { 1: 'right', 0: 'wrong', '-1': 'not checked' } as const;

export function labelOf({ runs }: Pick<View, 'runs'>, run: string): string {
  return runs.find(({ key }) => key === run)?.label ?? 'run';
}

/** Losses and entropies, which are of all sizes. */
export function figure(value: number): string {
  if (value !== 0 && Math.abs(value) < 0.001) return value.toExponential(1);
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 3);
}

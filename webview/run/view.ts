/** What the parts of the panel share: the state they are functions of, and the ways to change it. */

import type { ChartId } from '../../src/core/view/charts.js';
import type { FromPanel, PanelState } from '../../src/core/view/run-panel.js';
import type { Theme } from '../shared/theme.js';
import type { Span } from './axes.js';
import type { Looks } from './curves.js';
import type { RunModel } from './model.js';

/** Pixels outside the window within which charts and figures are drawn all the same. */
export const nearPixels = 120;

export interface View {
  readonly state: PanelState;
  readonly theme: Theme;
  /** In the order of the list. */
  readonly runs: readonly RunModel[];
  /** Those not switched off. */
  readonly shown: readonly RunModel[];
  readonly looks: Looks;
  /** Folders in which there is no run any more. */
  readonly missing: readonly string[];
  /** All of the x axis, and the part that is seen. */
  readonly whole: Span;
  readonly span: Span;
  /** Place of the cursor on the x axis, and the chart it is in. */
  readonly cursor: { readonly x: number; readonly chart: ChartId } | null;
  /** Key of the run that stands out. */
  readonly emphasis: string | undefined;
  change(patch: Partial<PanelState>): void;
  /** Moves the axis, for the charts alone. */
  move(span: Span | null): void;
  setCursor(cursor: View['cursor']): void;
  setEmphasis(key: string | undefined): void;
  send(message: FromPanel): void;
  announce(text: string): void;
}

/** A list with or without a member. */
export function toggled<T>(list: readonly T[], member: T): T[] {
  return list.includes(member) ? list.filter((one) => one !== member) : [...list, member];
}

/** The x axis that all charts share: what part of it is seen, and what its values are called. */

import { type ChartDefinition, formatFigure, formatSeconds } from '../../src/core/view/charts.js';
import type { XAxis } from '../../src/core/view/columns.js';
import { formatNumber } from '../shared/text.js';
import type { RunModel } from './model.js';

export interface Span {
  readonly from: number;
  readonly to: number;
}

export const axisTitles: Readonly<Record<XAxis, string>> = {
  step: 'Step',
  epoch: 'Epoch',
  tokens: 'Tokens',
  time: 'Time',
};

/** All of the axis: from 0 to where the longest run ends. */
export function wholeSpan(runs: readonly RunModel[], axis: XAxis): Span {
  const to = Math.max(0, ...runs.map((run) => run.end(axis)));
  return { from: 0, to: to > 0 ? to : 1 };
}

/** `span` around `center`, larger or smaller, within `whole`; null: all of it. */
export function zoomed(span: Span, whole: Span, center: number, factor: number): Span | null {
  const width = Math.max((span.to - span.from) * factor, (whole.to - whole.from) * 1e-5);
  if (width >= whole.to - whole.from) return null;
  const share = span.to > span.from ? (center - span.from) / (span.to - span.from) : 0.5;
  return within({ from: center - width * share, to: center + width * (1 - share) }, whole);
}

/** `span` moved by `by`, within `whole`. */
export function panned(span: Span, whole: Span, by: number): Span | null {
  return within({ from: span.from + by, to: span.to + by }, whole);
}

function within(span: Span, whole: Span): Span | null {
  const width = Math.min(span.to - span.from, whole.to - whole.from);
  const from = Math.min(Math.max(span.from, whole.from), whole.to - width);
  return width >= whole.to - whole.from ? null : { from, to: from + width };
}

/** A value of the axis, as ticks show it. */
export function formatX(value: number, axis: XAxis): string {
  switch (axis) {
    case 'step':
    case 'tokens':
      return shortCount(value);
    case 'epoch':
      return String(Math.round(value * 1000) / 1000);
    case 'time':
      return value === 0 ? '0' : formatSeconds(value);
  }
}

/** A place on the axis, in words. */
export function sayX(value: number, axis: XAxis): string {
  switch (axis) {
    case 'step':
      return `step ${formatNumber(Math.round(value))}`;
    case 'tokens':
      return `${formatNumber(Math.round(value))} tokens`;
    case 'epoch':
      return `epoch ${value.toFixed(2)}`;
    case 'time':
      return formatSeconds(value);
  }
}

function shortCount(value: number): string {
  if (value >= 1e9) return `${trimmed(value / 1e9)}B`;
  if (value >= 1e6) return `${trimmed(value / 1e6)}M`;
  if (value >= 1e4) return `${trimmed(value / 1e3)}k`;
  return trimmed(value);
}

function trimmed(value: number): string {
  return String(Number(value.toPrecision(4)));
}

/** A value of a chart, as ticks show it. */
export function formatTick(value: number, { unit }: ChartDefinition): string {
  if (unit === 'share') return `${Math.round(value * 1000) / 10}%`;
  if (unit === 'bytes' || unit === 'tokens/s') return formatFigure(value, unit);
  if (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e5)) {
    return value.toExponential(1).replace('.0e', 'e').replace('e-', 'e−').replace('e+', 'e');
  }
  return String(Number(value.toPrecision(4)));
}

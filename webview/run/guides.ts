/** What helps reading a chart: epoch boundaries, checkpoints, the best value, and the cursor with its points. */

import { type ChartDefinition, formatFigure } from '../../src/core/view/charts.js';
import { lowerBound, type XAxis } from '../../src/core/view/columns.js';
import { bestOf } from '../../src/core/view/panel-runs.js';
import type { PanelState } from '../../src/core/view/run-panel.js';
import { mixed, type Theme } from '../shared/theme.js';
import { type Curve, type Looks, trainSet } from './curves.js';
import type { RunModel } from './model.js';
import type { Projection } from './trace-controller.js';

export interface EpochMark {
  readonly x: number;
  readonly epoch: number;
}

/** Where epochs end, where that is one place for all runs shown; none where runs differ. */
export function epochMarks(runs: readonly RunModel[], axis: XAxis): EpochMark[] {
  const trained = runs.filter((run) => !run.level && run.points.count > 0);
  const first = trained[0];
  if (first === undefined) return [];
  const most = Math.max(...trained.map((run) => run.end('epoch')));
  const marks: EpochMark[] = [];
  const longest = trained.find((run) => run.end('epoch') === most) ?? first;
  if (axis !== 'epoch') {
    const lengths = new Set(trained.map(({ info }) => info.stepsPerEpoch));
    const length = first.info.stepsPerEpoch;
    if (lengths.size > 1 || length === null || length <= 0) return [];
    // Runs reach the same step after different tokens and seconds.
    if (axis !== 'step' && trained.length > 1) return [];
    const stride = Math.max(1, Math.ceil(most / 200));
    for (let epoch = stride; epoch <= most + 1e-6; epoch += stride) {
      marks.push({ epoch, x: longest.at(axis, epoch * length, epoch) });
    }
    return marks;
  }
  const stride = Math.max(1, Math.ceil(most / 200));
  for (let epoch = stride; epoch <= most + 1e-6; epoch += stride) marks.push({ epoch, x: epoch });
  return marks;
}

/** Under the curves. */
export function drawEpochs(
  context: CanvasRenderingContext2D,
  { area, from, to, x }: Projection,
  marks: readonly EpochMark[],
  theme: Theme,
): void {
  const seen = marks.filter((mark) => mark.x > from && mark.x <= to);
  if (seen.length === 0) return;
  const room = (area.right - area.left) / seen.length;
  const every = Math.max(1, Math.ceil(7 / room));
  context.save();
  context.strokeStyle = mixed(theme.foreground, theme.kind.startsWith('high') ? 55 : 26);
  context.fillStyle = theme.muted;
  context.font = `${theme.fontSize * 0.77}px ${theme.fontFamily}`;
  context.textAlign = 'right';
  context.textBaseline = 'top';
  context.lineWidth = 1;
  context.setLineDash([2, 3]);
  for (const [i, { x: value, epoch }] of seen.entries()) {
    if (i % every !== 0) continue;
    const pixel = Math.round(x(value)) - 0.5;
    context.beginPath();
    context.moveTo(pixel, area.top);
    context.lineTo(pixel, area.bottom);
    context.stroke();
    if (room > 54) context.fillText(`epoch ${epoch}`, pixel - 4, area.top + 1);
  }
  context.restore();
}

/** Small triangles on the axis where a checkpoint can be loaded. */
export function drawCheckpoints(
  context: CanvasRenderingContext2D,
  { area, from, to, x }: Projection,
  runs: readonly RunModel[],
  axis: XAxis,
  looks: Looks,
  theme: Theme,
): void {
  context.save();
  for (const run of runs) {
    const { stepsPerEpoch, checkpoints } = run.info;
    context.fillStyle = looks.byRun ? looks.runColor(run.key) : theme.foreground;
    context.beginPath();
    for (const step of checkpoints) {
      const value = run.at(axis, step, stepsPerEpoch === null ? Number.NaN : step / stepsPerEpoch);
      if (!(value >= from && value <= to)) continue;
      const pixel = x(value);
      context.moveTo(pixel, area.bottom - 7);
      context.lineTo(pixel + 4, area.bottom);
      context.lineTo(pixel - 4, area.bottom);
    }
    context.fill();
  }
  context.restore();
}

/** A ring around the best value, and what it is. */
export function drawBest(
  context: CanvasRenderingContext2D,
  { area, from, to, x, y }: Projection,
  chart: ChartDefinition,
  curves: readonly Curve[],
  state: PanelState,
  theme: Theme,
): void {
  const shown = curves.filter(({ set, run }) => set !== trainSet && !run.level);
  const best = bestOf(chart, [...new Set(shown.map(({ run }) => run.info))], new Set(shown.map(({ set }) => set)));
  const curve = shown.find(({ run, set }) => run.key === best?.key && set === best.set);
  if (best === undefined || curve === undefined) return;
  const value = curve.run.at(state.xAxis, best.step, best.epoch);
  if (!(value >= from && value <= to)) return;
  const [px, py] = [x(value), y(best.value)];
  context.save();
  context.strokeStyle = theme.foreground;
  context.lineWidth = 1.5;
  context.beginPath();
  context.arc(px, py, 6, 0, 2 * Math.PI);
  context.stroke();
  context.font = `600 ${theme.fontSize * 0.85}px ${theme.fontFamily}`;
  const text = formatFigure(best.value, chart.unit);
  const width = context.measureText(text).width;
  const left = Math.min(Math.max(px - width / 2, area.left + 2), area.right - width - 2);
  const below = py - 22 < area.top;
  const top = below ? py + 10 : py - 22;
  context.fillStyle = mixed(theme.background, 80);
  context.fillRect(left - 3, top, width + 6, 14);
  context.fillStyle = theme.foreground;
  context.textBaseline = 'top';
  context.fillText(text, left, top + 1.5);
  context.restore();
}

/** The values of the curves at a place: of training the nearest point, of evaluations the nearest one in reach. */
export interface Reading {
  readonly curve: Curve;
  readonly x: number;
  readonly value: number;
  /** Of training: unsmoothed. */
  readonly raw: number | undefined;
  readonly step: number;
}

export function readCurves(
  chart: ChartDefinition,
  curves: readonly Curve[],
  state: PanelState,
  at: number,
  reach: number,
): Reading[] {
  const readings: Reading[] = [];
  for (const curve of curves) {
    const { run, set } = curve;
    if (set === trainSet) {
      const { points } = run;
      const x = points.column(state.xAxis);
      const right = Math.min(lowerBound(x, points.count, at), points.count - 1);
      const left = Math.max(0, right - 1);
      const near = Math.abs((x[left] ?? 0) - at) < Math.abs((x[right] ?? 0) - at) ? left : right;
      const place = x[near] ?? Number.NaN;
      // A run that ended long before has no value here.
      if (!(Math.abs(place - at) <= Math.max(reach, ((x[right] ?? 0) - (x[left] ?? 0)) / 1.9))) continue;
      const raw = points.column(chart.id)[near] ?? Number.NaN;
      const smooth = state.smoothing > 0 ? run.series(chart.id).smoothedAt(near) : raw;
      if (Number.isNaN(smooth)) continue;
      const step = points.column('step')[near] ?? 0;
      readings.push({ curve, x: place, value: smooth, raw: state.smoothing > 0 ? raw : undefined, step });
    } else {
      const places = run.places(state.xAxis, chart.id, set);
      if (run.level) {
        const last = places.at(-1);
        if (last !== undefined) readings.push({ curve, x: at, value: last.value, raw: undefined, step: last.step });
        continue;
      }
      let nearest: (typeof places)[number] | undefined;
      for (const place of places) {
        if (nearest === undefined || Math.abs(place.x - at) < Math.abs(nearest.x - at)) nearest = place;
      }
      if (nearest === undefined || Math.abs(nearest.x - at) > reach) continue;
      readings.push({ curve, x: nearest.x, value: nearest.value, raw: undefined, step: nearest.step });
    }
  }
  return readings;
}

/** @param own whether the cursor is in this chart: in the others it is a line, with dots where they are few */
export function drawCursor(
  context: CanvasRenderingContext2D,
  { area, from, to, x, y }: Projection,
  at: number,
  readings: readonly Reading[],
  theme: Theme,
  own: boolean,
): void {
  if (at < from || at > to) return;
  context.strokeStyle = mixed(theme.foreground, 60);
  context.lineWidth = 1;
  const pixel = Math.round(x(at)) - 0.5;
  context.beginPath();
  context.moveTo(pixel, area.top);
  context.lineTo(pixel, area.bottom);
  context.stroke();
  if (!own && readings.length > 8) return;
  for (const { curve, x: place, value } of readings) {
    if (curve.run.level || place < from || place > to) continue;
    const py = y(value);
    if (!Number.isFinite(py)) continue;
    context.beginPath();
    context.arc(x(place), Math.min(Math.max(py, area.top), area.bottom), 3.5, 0, 2 * Math.PI);
    context.fillStyle = curve.color;
    context.fill();
    context.strokeStyle = theme.background;
    context.lineWidth = 1.5;
    context.stroke();
  }
}

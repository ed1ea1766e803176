/** The drawing of one chart: curves from pyramids, evaluations as marked points, levels of untuned models. */

import type { ChartDefinition } from '../../src/core/view/charts.js';
import { lowerBound, type XAxis } from '../../src/core/view/columns.js';
import type { Pyramid } from '../../src/core/view/pyramid.js';
import type { PanelState } from '../../src/core/view/run-panel.js';
import { trace } from '../../src/core/view/trace.js';
import { mixed } from '../shared/theme.js';
import { type Curve, evaluationsOf, type Marker, type Measured, trainSet } from './curves.js';
import type { Plot, Projection } from './trace-controller.js';

/** Pairs of pixel and value; as wide as any screen. */
const buffer = new Float32Array(2 * (4 * 8192 + 16));

export interface PlotInput {
  readonly chart: ChartDefinition;
  readonly curves: readonly Curve[];
  readonly state: PanelState;
  readonly log: boolean;
  /** Pixels that share a pair of extremes: more while things move. */
  readonly coarse: () => number;
  /** Key of the run to bring forward. */
  readonly emphasis: () => string | undefined;
}

interface Place extends Measured {
  readonly x: number;
}

export class CurvePlot implements Plot {
  constructor(private readonly input: PlotInput) {}

  /** Brings curves up to date; cheap where nothing changed. */
  refresh(): void {
    const { chart, curves, state } = this.input;
    for (const { run, set } of curves) {
      if (set === trainSet) run.series(chart.id).refresh(state.raw || state.smoothing === 0, state.smoothing);
    }
  }

  extent(from: number, to: number): { min: number; max: number } | undefined {
    const { chart, curves, state, log } = this.input;
    let min = Infinity;
    let max = -Infinity;
    const take = (low: number, high: number): void => {
      if (low < min && (!log || low > 0)) min = low;
      if (high > max) max = high;
    };
    for (const curve of curves) {
      if (curve.set === trainSet) {
        const { points } = curve.run;
        const x = points.column(state.xAxis);
        const first = Math.max(0, lowerBound(x, points.count, from));
        const last = Math.min(points.count, lowerBound(x, points.count, to) + 1);
        for (const pyramid of this.pyramids(curve)) {
          const range = pyramid.range(first, last);
          if (log && range.min <= 0) take(leastAbove0(points.column(chart.id), first, last), range.max);
          else take(range.min, range.max);
        }
      } else {
        for (const { x, value } of placesOf(curve, chart, state.xAxis)) {
          if (curve.run.level || (x >= from && x <= to)) take(value, value);
        }
      }
    }
    if (!(min <= max)) return undefined;
    return padded(min, max, chart, log);
  }

  draw(context: CanvasRenderingContext2D, projection: Projection): void {
    const { curves, chart, state } = this.input;
    const { area, from, to } = projection;
    context.save();
    context.beginPath();
    context.rect(area.left, area.top - 3, area.right - area.left, area.bottom - area.top + 6);
    context.clip();
    context.lineJoin = 'bevel';
    const trained = curves.filter(({ set }) => set === trainSet);
    const measured = curves.filter(({ set }) => set !== trainSet);
    const dense = trained.length > 1 || measured.length > 0;
    if (state.raw && state.smoothing > 0) {
      context.lineWidth = 1;
      for (const curve of trained) {
        context.strokeStyle = mixed(curve.color, this.faded(curve) ? 6 : trained.length > 6 ? 14 : 24);
        this.drawTrace(context, projection, curve, curve.run.series(chart.id).raw);
      }
    }
    for (const curve of trained) {
      context.lineWidth = dense ? 1.25 : 1.5;
      // Beside an evaluation of the same colour, training stands back.
      const beside = measured.some(({ run, color }) => run === curve.run && color === curve.color);
      context.strokeStyle = this.faded(curve) ? mixed(curve.color, 18) : beside ? mixed(curve.color, 60) : curve.color;
      const series = curve.run.series(chart.id);
      this.drawTrace(context, projection, curve, state.smoothing > 0 ? series.smooth : series.raw);
    }
    for (const curve of measured) {
      const color = this.faded(curve) ? mixed(curve.color, 18) : curve.color;
      context.strokeStyle = color;
      context.fillStyle = color;
      context.lineWidth = 1.75;
      context.setLineDash([...curve.dash]);
      const places = placesOf(curve, chart, state.xAxis);
      context.beginPath();
      if (curve.run.level) {
        const y = projection.y(places.at(-1)?.value ?? Number.NaN);
        context.moveTo(area.left, y);
        context.lineTo(area.right, y);
      } else for (const { x, value } of places) context.lineTo(projection.x(x), projection.y(value));
      context.stroke();
      context.setLineDash([]);
      if (curve.run.level) continue;
      const visible = places.filter(({ x }) => x >= from && x <= to);
      // Marks that would touch each other are no marks.
      const radius = visible.length * 9 > area.right - area.left ? 0 : measured.length > 8 ? 2.25 : 3;
      if (radius > 0) {
        for (const { x, value } of visible) mark(context, curve.marker, projection.x(x), projection.y(value), radius);
      }
    }
    context.restore();
  }

  private faded({ run }: Curve): boolean {
    const front = this.input.emphasis();
    return front !== undefined && front !== run.key;
  }

  private pyramids(curve: Curve): Pyramid[] {
    const { chart, state } = this.input;
    const series = curve.run.series(chart.id);
    if (state.smoothing === 0) return [series.raw];
    return state.raw ? [series.raw, series.smooth] : [series.smooth];
  }

  private drawTrace(
    context: CanvasRenderingContext2D,
    { area, from, to, y }: Projection,
    { run }: Curve,
    pyramid: Pyramid,
  ): void {
    const stride = this.input.coarse();
    const width = Math.max(1, Math.round((area.right - area.left) / stride));
    const pairs = trace(run.points.column(this.input.state.xAxis), pyramid, { from, to, width }, buffer);
    const scale = (area.right - area.left) / width;
    context.beginPath();
    for (let i = 0; i < pairs; i++) {
      const value = buffer[2 * i + 1] as number;
      // A step at which the figure was not measured is passed over, not a gap.
      if (Number.isNaN(value)) continue;
      const pixel = y(value);
      context.lineTo(area.left + (buffer[2 * i] as number) * scale, Number.isFinite(pixel) ? pixel : area.bottom);
    }
    context.stroke();
  }
}

/** A curve's evaluations on an axis, in order. */
export function placesOf(curve: Curve, chart: ChartDefinition, axis: XAxis): Place[] {
  return evaluationsOf(curve.run, chart, curve.set).map((point) => ({
    ...point,
    x: curve.run.at(axis, point.step, point.epoch),
  }));
}

/** Room above and below; shares stay between 0 and 1, amounts begin at 0. */
function padded(min: number, max: number, { unit, id }: ChartDefinition, log: boolean): { min: number; max: number } {
  if (log) return { min, max: max > min ? max : min * 1.1 };
  const amount = unit === 'bytes' || unit === 'tokens/s' || id === 'learningRate';
  const low = amount ? Math.min(0, min) : min;
  const room = max > low ? (max - low) * 0.05 : Math.abs(max) * 0.05 || 0.05;
  if (unit === 'share') return { min: Math.max(0, low - room), max: Math.min(1, max + room) };
  const floor = low >= 0 ? Math.max(0, amount ? 0 : low - room) : low - room;
  return { min: floor, max: max + room };
}

function leastAbove0(values: Float32Array, from: number, to: number): number {
  let least = Infinity;
  for (let i = from; i < to; i++) {
    const value = values[i] as number;
    if (value > 0 && value < least) least = value;
  }
  return least;
}

export function mark(context: CanvasRenderingContext2D, kind: Marker, x: number, y: number, radius: number): void {
  context.beginPath();
  switch (kind) {
    case 'circle':
      context.arc(x, y, radius, 0, 2 * Math.PI);
      break;
    case 'square':
      context.rect(x - radius, y - radius, 2 * radius, 2 * radius);
      break;
    case 'triangle':
      context.moveTo(x, y - radius * 1.2);
      context.lineTo(x + radius * 1.1, y + radius * 0.9);
      context.lineTo(x - radius * 1.1, y + radius * 0.9);
      break;
    case 'diamond':
      context.moveTo(x, y - radius * 1.3);
      context.lineTo(x + radius * 1.3, y);
      context.lineTo(x, y + radius * 1.3);
      context.lineTo(x - radius * 1.3, y);
      break;
  }
  context.fill();
}

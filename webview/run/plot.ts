/** The drawing of one chart: curves from pyramids, evaluations as marked points, levels of untuned models. */

import type { ChartDefinition } from '../../src/core/view/charts.js';
import { lowerBound } from '../../src/core/view/columns.js';
import type { Pyramid } from '../../src/core/view/pyramid.js';
import type { PanelState } from '../../src/core/view/run-panel.js';
import { trace } from '../../src/core/view/trace.js';
import type { Span } from './axes.js';
import { type Curve, trainSet } from './curves.js';
import { type Ink, inkOf, type Raster, shapeOf } from './raster.js';
import type { Plot, Projection } from './trace-controller.js';

/** Pairs of pixel and value; as wide as any screen. */
const buffer = new Float32Array(2 * (4 * 8192 + 16));

/** Room for marks at the edges of the drawing. */
const margin = 8;

export interface PlotInput {
  readonly chart: ChartDefinition;
  readonly curves: readonly Curve[];
  readonly state: PanelState;
  readonly log: boolean;
  /** The visible part of the x axis: chart.js may lay out that axis after the other one. */
  readonly span: () => Span;
  readonly raster: Raster;
  /** What rims of marks are drawn in. */
  readonly background: string;
  /** Whether nothing may be faint. */
  readonly contrast: boolean;
  /** Key of the run to bring forward. */
  readonly emphasis: () => string | undefined;
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

  /** Makes what a closer look will need and the first one does not, as long as there is time. @returns whether all is made */
  complete(hasTime: () => boolean): boolean {
    for (const curve of this.input.curves) {
      if (curve.set !== trainSet) continue;
      for (const pyramid of this.pyramids(curve)) {
        if (!hasTime()) return false;
        pyramid.complete();
      }
    }
    return true;
  }

  extent(): { min: number; max: number } | undefined {
    const { chart, curves, state, log, span } = this.input;
    const { from, to } = span();
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
        for (const { x, value } of curve.run.places(state.xAxis, chart.id, curve.set)) {
          if (curve.run.level || (x >= from && x <= to)) take(value, value);
        }
      }
    }
    if (!(min <= max)) return undefined;
    return padded(min, max, chart, log);
  }

  draw(context: CanvasRenderingContext2D, projection: Projection): void {
    const { curves, chart, state, raster, contrast } = this.input;
    const { area } = projection;
    const ratio = window.devicePixelRatio;
    raster.begin(
      Math.max(1, Math.round((area.right - area.left) * ratio)),
      Math.max(1, Math.round((area.bottom - area.top) * ratio)),
      Math.ceil(margin * ratio),
    );
    // What stands out lies on top.
    const order = [...curves].sort((a, b) => Number(this.inFront(a)) - Number(this.inFront(b)));
    const trained = order.filter(({ set }) => set === trainSet);
    const measured = order.filter(({ set }) => set !== trainSet);
    const dense = trained.length > 1 || measured.length > 0;
    if (state.raw && state.smoothing > 0) {
      const share = trained.length > 6 ? 0.14 : 0.24;
      for (const curve of trained) {
        const ink = inkOf(curve.color, this.faded(curve) ? 0.05 : share);
        this.drawTrace(projection, curve, curve.run.series(chart.id).raw, 1, ink, []);
      }
    }
    for (const curve of trained) {
      // Beside an evaluation of the same colour, training stands back.
      const beside = measured.some(({ run, color }) => run === curve.run && color === curve.color);
      const ink = inkOf(curve.color, this.faded(curve) ? 0.18 : beside && !contrast ? 0.6 : 1);
      const series = curve.run.series(chart.id);
      const width = this.inFront(curve) ? 2.25 : contrast ? 1.75 : dense ? 1.25 : 1.5;
      this.drawTrace(projection, curve, state.smoothing > 0 ? series.smooth : series.raw, width, ink, curve.dash);
    }
    for (const curve of measured) this.drawMeasured(projection, curve, measured.length);
    raster.paint(context, area.left, area.top, ratio);
  }

  private drawMeasured({ area, from, to, y }: Projection, curve: Curve, among: number): void {
    const { chart, state, raster, background } = this.input;
    const ratio = window.devicePixelRatio;
    const scale = (ratio * (area.right - area.left)) / Math.max(to - from, Number.MIN_VALUE);
    const places = curve.run.places(state.xAxis, chart.id, curve.set);
    const points = new Float32Array(2 * Math.max(2, places.length));
    let count = 0;
    const put = (x: number, value: number): void => {
      points[2 * count] = x;
      points[2 * count + 1] = (y(value) - area.top) * ratio;
      count++;
    };
    const last = places.at(-1);
    if (curve.run.level && last !== undefined) {
      put(0, last.value);
      put((area.right - area.left) * ratio, last.value);
    } else for (const { x, value } of places) put((x - from) * scale, value);
    const ink = inkOf(curve.color, this.faded(curve) ? 0.18 : 1);
    const width = this.inFront(curve) ? 2.5 : among > 8 ? 1.25 : 1.75;
    raster.line(
      points,
      count,
      width * ratio,
      ink,
      curve.dash.map((part) => part * ratio),
      5 * this.input.curves.indexOf(curve),
    );
    if (curve.run.level) return;
    const visible = places.filter(({ x }) => x >= from && x <= to).length;
    // Marks that would touch each other are no marks.
    if (visible * 9 > area.right - area.left) return;
    const radius = (among > 8 ? 2.25 : 3) * ratio;
    const shape = shapeOf(curve.marker, radius);
    // A rim keeps a mark apart from what is under it, as long as marks are few.
    const rim = among > 8 ? undefined : shapeOf(curve.marker, radius + ratio);
    const rimInk = inkOf(background);
    for (const [i, { x }] of places.entries()) {
      if (x < from || x > to) continue;
      const [px, py] = [points[2 * i] as number, points[2 * i + 1] as number];
      if (rim !== undefined) raster.mark(rim, px, py, rimInk);
      raster.mark(shape, px, py, ink);
    }
  }

  private inFront({ run }: Curve): boolean {
    return this.input.emphasis() === run.key;
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
    { area, from, to, y }: Projection,
    { run }: Curve,
    pyramid: Pyramid,
    thickness: number,
    ink: Ink,
    dash: Curve['dash'],
  ): void {
    const ratio = window.devicePixelRatio;
    const width = Math.max(1, Math.round((area.right - area.left) * ratio));
    const bottom = (area.bottom - area.top) * ratio;
    const pairs = trace(run.points.column(this.input.state.xAxis), pyramid, { from, to, width }, buffer);
    for (let i = 1; i < 2 * pairs; i += 2) {
      const value = buffer[i] as number;
      // A step at which the figure was not measured is passed over; what a logarithm has no place for lies at the bottom.
      if (Number.isNaN(value)) continue;
      const pixel = (y(value) - area.top) * ratio;
      buffer[i] = Number.isFinite(pixel) ? pixel : bottom;
    }
    const pattern = dash.map((part) => part * ratio);
    this.input.raster.line(buffer, pairs, thickness * ratio, ink, pattern);
  }
}

/** Room above and below; shares stay between 0 and 1, amounts begin at 0. */
function padded(min: number, max: number, { unit, id }: ChartDefinition, log: boolean): { min: number; max: number } {
  if (log) return { min, max: max > min ? max : min * 1.1 };
  const amount = unit === 'bytes' || unit === 'tokens/s' || id === 'learningRate' || id === 'gpuBusy';
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

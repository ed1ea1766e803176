/** The runs as the page holds them: facts, points, and curves made from the points when a chart first asks for one. */

import type { ChartId } from '../../src/core/view/charts.js';
import { interpolate, PointColumns, type XAxis } from '../../src/core/view/columns.js';
import { Pyramid, Smoother } from '../../src/core/view/pyramid.js';
import type { PanelRun } from '../../src/core/view/run-panel.js';

/** One figure of a run's training, raw and smoothed. */
export class Series {
  readonly raw = new Pyramid();
  readonly smooth = new Pyramid();
  private smoothed = new Float32Array();
  private smoother: Smoother | undefined;
  private validRaw = 0;
  private validSmooth = 0;

  constructor(
    private readonly points: PointColumns,
    private readonly id: ChartId,
  ) {}

  /** Points from this index on are other ones. */
  invalidate(from: number): void {
    this.validRaw = Math.min(this.validRaw, from);
    if (from < this.validSmooth) this.smoother = undefined;
    this.validSmooth = Math.min(this.validSmooth, from);
  }

  /** The smoothed value of a point; NaN where it has not been computed. */
  smoothedAt(index: number): number {
    return index < this.validSmooth ? (this.smoothed[index] ?? Number.NaN) : Number.NaN;
  }

  /** Brings the curves up to date, as far as they are drawn. */
  refresh(raw: boolean, weight: number): void {
    const { points } = this;
    const values = points.column(this.id);
    if (raw && (this.validRaw < points.count || this.raw.length !== points.count)) {
      this.raw.update(values, points.count, this.validRaw);
      this.validRaw = points.count;
    }
    if (weight === 0) return;
    if (this.smoother?.weight !== weight) {
      this.smoother = new Smoother(weight);
      this.validSmooth = 0;
    }
    if (this.validSmooth === points.count && this.smooth.length === points.count) return;
    if (this.smoothed.length < points.count) {
      const larger = new Float32Array(Math.max(Math.ceil(points.count * 1.25), 2 * this.smoothed.length));
      larger.set(this.smoothed);
      this.smoothed = larger;
    }
    this.smoother.run(values, points.count, this.smoothed);
    this.smooth.update(this.smoothed, points.count, this.validSmooth);
    this.validSmooth = points.count;
  }
}

/** A figure of an evaluation. */
export interface Measured {
  readonly step: number;
  readonly epoch: number;
  readonly value: number;
}

/** Where it stands on an axis. */
export interface Place extends Measured {
  readonly x: number;
}

export class RunModel {
  readonly points = new PointColumns();
  private readonly series_ = new Map<ChartId, Series>();

  private readonly measured_ = new Map<string, readonly Measured[]>();
  private readonly places_ = new Map<string, readonly Place[]>();

  private sets_: readonly string[] | undefined;

  constructor(private info_: PanelRun) {}

  get info(): PanelRun {
    return this.info_;
  }

  set info(info: PanelRun) {
    this.info_ = info;
    this.measured_.clear();
    this.places_.clear();
    this.sets_ = undefined;
  }

  /** The evaluation sets, in the order in which they came. */
  get sets(): readonly string[] {
    this.sets_ ??= [...new Set(this.info.evaluations.map(({ set }) => set))];
    return this.sets_;
  }

  /** The evaluations of a set that have this figure, in order. */
  measured(id: ChartId, set: string): readonly Measured[] {
    const name = `${id} ${set}`;
    let found = this.measured_.get(name);
    if (found === undefined) {
      found = this.info.evaluations.flatMap(({ set: of, step, epoch, values }) => {
        const value = values[id] ?? null;
        return of === set && value !== null ? [{ step, epoch, value }] : [];
      });
      this.measured_.set(name, found);
    }
    return found;
  }

  /** The same on an axis. */
  places(axis: XAxis, id: ChartId, set: string): readonly Place[] {
    const name = `${axis} ${id} ${set}`;
    let found = this.places_.get(name);
    if (found === undefined) {
      found = this.measured(id, set).map((point) => ({ ...point, x: this.at(axis, point.step, point.epoch) }));
      this.places_.set(name, found);
    }
    return found;
  }

  get key(): string {
    return this.info.key;
  }

  /** @returns false where points between are missing */
  put(from: number, points: ArrayBuffer): boolean {
    if (!this.points.put(from, points)) return false;
    for (const series of this.series_.values()) series.invalidate(from);
    // Tokens and seconds of an evaluation are read between points.
    this.places_.clear();
    return true;
  }

  series(id: ChartId): Series {
    let found = this.series_.get(id);
    if (found === undefined) {
      found = new Series(this.points, id);
      this.series_.set(id, found);
    }
    return found;
  }

  /** Where a step stands on an axis. */
  at(axis: XAxis, step: number, epoch: number): number {
    if (axis === 'step') return step;
    if (axis === 'epoch') return epoch;
    const { points } = this;
    return interpolate(points.column('step'), points.column(axis), points.count, step);
  }

  /** Where the run's curves end on an axis. */
  end(axis: XAxis): number {
    const { points, info } = this;
    const last = points.count === 0 ? 0 : (points.column(axis)[points.count - 1] ?? 0);
    const evaluation = info.evaluations.at(-1);
    return evaluation === undefined ? last : Math.max(last, this.at(axis, evaluation.step, evaluation.epoch) || 0);
  }

  /** Whether the run never trains: it is a level, not a curve. */
  get level(): boolean {
    return this.info.kind === 'baseline';
  }
}

/** Which curves a chart has, and how each looks. */

import type { ChartDefinition } from '../../src/core/view/charts.js';
import type { PanelState } from '../../src/core/view/run-panel.js';
import type { Theme } from '../shared/theme.js';
import type { RunModel } from './model.js';

export const trainSet = 'train';

export type Marker = 'circle' | 'square' | 'triangle' | 'diamond';
const markers: readonly Marker[] = ['circle', 'square', 'triangle', 'diamond'];
const dashes: readonly (readonly number[])[] = [[], [6, 3], [2, 3], [8, 3, 2, 3]];
/** Of runs, where colours alone must not tell them apart. */
const runDashes: readonly (readonly number[])[] = [[], [9, 4], [3, 3], [12, 3, 3, 3], [6, 2], [12, 3, 3, 3, 3, 3]];
const levelDash: readonly number[] = [4, 4];

export interface Curve {
  readonly run: RunModel;
  /** `train`, or the name of an evaluation set. */
  readonly set: string;
  readonly color: string;
  readonly dash: readonly number[];
  readonly marker: Marker;
  /** Name in legends and read-outs. */
  readonly label: string;
}

/** What runs and sets look like, agreed between charts, legend, table and pictures. */
export class Looks {
  readonly sets: readonly string[];
  /** Colours tell runs apart; where there is one run alone, they tell sets apart. */
  readonly byRun: boolean;
  private readonly order: ReadonlyMap<string, number>;

  constructor(
    readonly runs: readonly RunModel[],
    private readonly theme: Theme,
  ) {
    this.sets = [...new Set(runs.flatMap(({ sets }) => sets))];
    this.byRun = runs.length > 1;
    this.order = new Map(runs.map(({ key }, index) => [key, index]));
  }

  runColor(key: string): string {
    return this.color(this.order.get(key) ?? 0);
  }

  /** Of a run's line, in charts and beside its name. */
  runDash(run: RunModel): readonly number[] {
    if (run.level) return levelDash;
    if (!this.byRun || !this.theme.kind.startsWith('high-contrast')) return [];
    return runDashes[(this.order.get(run.key) ?? 0) % runDashes.length] ?? [];
  }

  marker(set: string): Marker {
    return markers[Math.max(0, this.sets.indexOf(set)) % markers.length] ?? 'circle';
  }

  /** Of a curve of the only run. */
  setColor(set: string): string {
    return this.color(set === trainSet ? 0 : 1 + this.sets.indexOf(set));
  }

  curve(run: RunModel, set: string): Curve {
    const at = Math.max(0, this.sets.indexOf(set));
    const own = this.runDash(run);
    const setLabel = set === trainSet ? 'train' : set;
    return {
      run,
      set,
      color: this.byRun ? this.runColor(run.key) : this.setColor(set),
      dash: own.length > 0 || !this.byRun || set === trainSet ? own : (dashes[at % dashes.length] ?? []),
      marker: this.marker(set),
      label: this.byRun ? `${run.info.label} · ${setLabel}` : setLabel,
    };
  }

  private color(index: number): string {
    const { series } = this.theme;
    return series[index % series.length] ?? this.theme.foreground;
  }
}

/** The curves of a chart that are switched on and have a value. */
export function curvesOf(chart: ChartDefinition, looks: Looks, state: PanelState): Curve[] {
  const curves: Curve[] = [];
  for (const run of looks.runs) {
    if (state.hiddenRuns.includes(run.key)) continue;
    if (state.train && chart.train !== undefined && run.points.count > 0 && hasPoints(run, chart)) {
      curves.push(looks.curve(run, trainSet));
    }
    for (const set of looks.sets) {
      if (!state.hiddenSets.includes(set) && run.measured(chart.id, set).length > 0) {
        curves.push(looks.curve(run, set));
      }
    }
  }
  return curves;
}

/** Whether any run has this figure at all, switched on or off. */
export function hasFigure(chart: ChartDefinition, runs: readonly RunModel[]): boolean {
  return runs.some(
    (run) =>
      (chart.train !== undefined && hasPoints(run, chart)) ||
      run.info.evaluations.some(({ values }) => (values[chart.id] ?? null) !== null),
  );
}

function hasPoints(run: RunModel, chart: ChartDefinition): boolean {
  const column = run.points.column(chart.id);
  const { count } = run.points;
  // A figure that is measured now and then comes within the first points.
  for (let i = 0; i < Math.min(count, 1000); i++) if (!Number.isNaN(column[i] ?? Number.NaN)) return true;
  return false;
}

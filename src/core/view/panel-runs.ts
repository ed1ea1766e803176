/** A run's history as the run panel shows it. */

import type { RunHistory } from '../history.js';
import { remainingSeconds } from '../progress.js';
import { type ChartDefinition, charts } from './charts.js';
import type { EvaluationPoint, PanelRun } from './run-panel.js';

/** What a list of runs knows of a run. */
export interface RunHead {
  /** The run's folder. */
  readonly folder: string;
  readonly name: string;
  readonly label: string;
  readonly experiment: string;
  readonly kind: PanelRun['kind'];
  readonly state: PanelRun['state'];
  readonly reason: string | undefined;
  readonly created: string | undefined;
  readonly config: Readonly<Record<string, unknown>>;
}

export function panelRunOf(head: RunHead, history: RunHistory): PanelRun {
  const { state } = head;
  const { status, setup } = history;
  const last = history.train.at(-1);
  const step = Math.max(last?.step ?? 0, status?.step ?? 0);
  const totalSteps = Math.max(setup?.totalSteps ?? 0, status?.totalSteps ?? 0) || null;
  const trainSeconds = status === undefined ? null : Math.max(status.trainSeconds, last?.trainSeconds ?? 0);
  return {
    key: head.folder,
    name: head.name,
    label: head.label,
    experiment: head.experiment,
    kind: head.kind,
    state,
    reason: head.reason ?? null,
    created: head.created ?? null,
    step,
    totalSteps,
    stepsPerEpoch: setup?.stepsPerEpoch ?? null,
    trainSeconds,
    remainingSeconds: state === 'running' ? remainingSeconds({ step, totalSteps, trainSeconds }) : null,
    device: setup?.device ?? null,
    trainableParameters: setup?.trainableParameters ?? null,
    config: Object.fromEntries(Object.entries(head.config).map(([name, value]) => [name, textOf(value)])),
    evaluations: history.evals.map(({ set, step: at, epoch, ...rest }) => ({
      set,
      step: at,
      epoch,
      values: valuesOf({ set, step: at, epoch, ...rest }),
    })),
    checkpoints: history.checkpoints.map((checkpoint) => checkpoint.step),
    warnings: history.warnings.length,
  };
}

function valuesOf(event: RunHistory['evals'][number]): EvaluationPoint['values'] {
  const values: EvaluationPoint['values'] = {};
  for (const { id, evaluation } of charts) if (evaluation !== undefined) values[id] = evaluation(event);
  return values;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}

/** Keys that say where a run stands, not what it is. */
const namesOnly = new Set(['output_dir', 'run_name', 'experiment']);

/** The config keys by which the runs differ, in the order in which configs have them. A key that a run lacks differs. */
export function configDifferences(runs: readonly Pick<PanelRun, 'config'>[]): string[] {
  const keys = new Set(runs.flatMap(({ config }) => Object.keys(config)));
  return [...keys].filter(
    (key) => !namesOnly.has(key) && new Set(runs.map(({ config }) => config[key] ?? null)).size > 1,
  );
}

export interface Best {
  readonly key: string;
  readonly set: string;
  readonly step: number;
  readonly epoch: number;
  readonly value: number;
}

/** The best figure of a chart that any of the runs reached in an evaluation; the earliest of equal ones. */
export function bestOf(
  chart: ChartDefinition,
  runs: readonly PanelRun[],
  sets?: ReadonlySet<string>,
): Best | undefined {
  let best: Best | undefined;
  if (chart.better === null) return undefined;
  const sign = chart.better === 'high' ? 1 : -1;
  for (const { key, evaluations } of runs) {
    for (const { set, step, epoch, values } of evaluations) {
      const value = values[chart.id] ?? null;
      if (value === null || !Number.isFinite(value) || sets?.has(set) === false) continue;
      if (best === undefined || sign * value > sign * best.value || (value === best.value && step < best.step)) {
        best = { key, set, step, epoch, value };
      }
    }
  }
  return best;
}

/** The last figure of a run on a set: the first set that has one where none is named. */
export function lastFigure(run: PanelRun, chart: ChartDefinition, set?: string): number | null {
  const fitting = run.evaluations.filter(
    ({ set: name, values }) => (set === undefined || name === set) && (values[chart.id] ?? null) !== null,
  );
  const first = fitting[0]?.set;
  return fitting.filter((point) => point.set === first).at(-1)?.values[chart.id] ?? null;
}

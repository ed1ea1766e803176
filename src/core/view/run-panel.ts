/** The wire between the run panel and the extension. Points travel as `ArrayBuffer`s (`columns.ts`), all else as JSON. */

import * as z from 'zod';
import type { ChartId } from './charts.js';
import { charts } from './charts.js';
import { xAxes } from './columns.js';

const nullable = z.number().nullable();
const chartIds: ReadonlySet<unknown> = new Set(charts.map(({ id }) => id));
const chartId = z.custom<ChartId>((value) => chartIds.has(value));

const evaluationSchema = z.object({
  set: z.string(),
  step: z.number(),
  epoch: z.number(),
  /** Figures of the charts that evaluations have. There may be thousands, before which nothing is drawn: no schema for each. */
  values: z.custom<Partial<Record<ChartId, number | null>>>(
    (values) =>
      typeof values === 'object' &&
      values !== null &&
      Object.entries(values).every(([id, value]) => chartIds.has(id) && (value === null || typeof value === 'number')),
  ),
});
export type EvaluationPoint = z.infer<typeof evaluationSchema>;

const runSchema = z.object({
  /** The run's folder: what messages name it by. */
  key: z.string(),
  name: z.string(),
  label: z.string(),
  experiment: z.string(),
  kind: z.enum(['train', 'baseline']),
  state: z.enum(['queued', 'running', 'interrupted', 'stopped', 'finished', 'failed']),
  reason: z.string().nullable(),
  created: z.string().nullable(),
  step: z.number(),
  totalSteps: nullable,
  stepsPerEpoch: nullable,
  trainSeconds: nullable,
  /** Estimated seconds until the last step. */
  remainingSeconds: nullable,
  device: z.string().nullable(),
  trainableParameters: nullable,
  /** The resolved config, each value as text. */
  config: z.record(z.string(), z.string()),
  evaluations: z.array(evaluationSchema),
  /** Steps that have a checkpoint. */
  checkpoints: z.array(z.number()),
  warnings: z.number(),
});
export type PanelRun = z.infer<typeof runSchema>;

export const toPanel = z.discriminatedUnion('type', [
  /** The runs shown, in order; `missing` are folders that hold no run any more. */
  z.object({ type: z.literal('runs'), runs: z.array(runSchema), missing: z.array(z.string()) }),
  /** What is new about one of them. */
  z.object({ type: z.literal('run'), run: runSchema }),
  /** Points of one run from the index `from` on; what it had there and behind goes. */
  z.object({ type: z.literal('points'), key: z.string(), from: z.number(), points: z.instanceof(ArrayBuffer) }),
]);
export type ToPanel = z.infer<typeof toPanel>;

export const fromPanel = z.discriminatedUnion('type', [
  /** The page is there: everything is sent. */
  z.object({ type: z.literal('ready') }),
  /** Points of this run did not follow those that the page has. */
  z.object({ type: z.literal('lost'), key: z.string() }),
  /** The rest is what a person asks for. */
  z.object({ type: z.literal('add') }),
  z.object({ type: z.literal('remove'), key: z.string() }),
  /** What the models of these runs said. */
  z.object({ type: z.literal('openSamples'), keys: z.array(z.string()) }),
  z.object({ type: z.literal('exportCsv'), keys: z.array(z.string()) }),
  z.object({ type: z.literal('exportPng'), name: z.string(), png: z.instanceof(ArrayBuffer) }),
  z.object({
    type: z.literal('command'),
    command: z.enum(['stop', 'resume', 'terminal', 'log', 'config']),
    key: z.string(),
  }),
]);
export type FromPanel = z.infer<typeof fromPanel>;

/** What the panel keeps over reloads. `keys` is what the extension opens it with again. */
export const panelState = z.object({
  keys: z.array(z.string()),
  xAxis: z.enum(xAxes),
  /** Weight of the moving average, from 0 (none). */
  smoothing: z.number().min(0).max(0.999),
  raw: z.boolean(),
  train: z.boolean(),
  checkpoints: z.boolean(),
  /** What is switched off, so that what is new is shown. */
  hiddenRuns: z.array(z.string()),
  hiddenSets: z.array(z.string()),
  hiddenCharts: z.array(chartId),
  logCharts: z.array(chartId),
  /** The chart that fills the panel. */
  enlarged: chartId.nullable(),
  /** Visible part of the x axis; null: all. */
  zoom: z.object({ from: z.number(), to: z.number() }).nullable(),
  sort: z.object({ column: z.string(), descending: z.boolean() }).nullable(),
  differencesOnly: z.boolean(),
});
export type PanelState = z.infer<typeof panelState>;

export const firstPanelState: PanelState = {
  keys: [],
  xAxis: 'step',
  smoothing: 0.6,
  raw: true,
  train: true,
  checkpoints: true,
  hiddenRuns: [],
  hiddenSets: [],
  hiddenCharts: ['processMemory'],
  logCharts: [],
  enlarged: null,
  zoom: null,
  sort: null,
  differencesOnly: true,
};

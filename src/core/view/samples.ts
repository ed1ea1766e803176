/**
 * The wire between the samples view and the extension. The list travels in windows of short texts, and of one record at a time all that
 * is shown of it: a run may hold thousands of long answers.
 */

import * as z from 'zod';
import { promptFilters, promptOrders } from './samples-list.js';

const verdict = z.union([z.literal(-1), z.literal(0), z.literal(1)]);
const nullable = z.number().nullable();

/** With what the answer shown is compared. */
const baseSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('none') }),
  z.object({ kind: z.literal('reference') }),
  /** The evaluation before. */
  z.object({ kind: z.literal('previous') }),
  z.object({ kind: z.literal('first') }),
  /** The last evaluation of another run. */
  z.object({ kind: z.literal('run'), run: z.string() }),
]);
export type Base = z.infer<typeof baseSchema>;

const querySchema = z.object({
  /** Evaluation set; null: the first. */
  set: z.string().nullable(),
  /** Folder of the run whose answers are listed; null: the first. */
  run: z.string().nullable(),
  filter: z.enum(promptFilters),
  order: z.enum(promptOrders),
  text: z.string().max(10_000),
  /** Key of the record that is shown; null: none chosen. */
  selected: z.string().nullable(),
  /** Run whose answer is shown; null: the listed one. */
  shown: z.string().nullable(),
  /** Evaluation that is shown; null: the last, also when there is a later one. */
  step: nullable,
  base: baseSchema,
});
export type SamplesQuery = z.infer<typeof querySchema>;

const runSchema = z.object({
  /** The run's folder: what messages name it by. */
  key: z.string(),
  label: z.string(),
  experiment: z.string(),
  state: z.enum(['queued', 'running', 'interrupted', 'stopped', 'finished', 'failed']),
});
export type SamplesRun = z.infer<typeof runSchema>;

const rowSchema = z.object({
  key: z.string(),
  /** The prompt's beginning; null: not known yet. */
  title: z.string().nullable(),
  /** The last answer's beginning; null: it was not asked. */
  answer: z.string().nullable(),
  /** One for each evaluation. */
  verdicts: z.array(verdict),
  loss: nullable,
  /** From 1. */
  record: z.number(),
});
export type PromptRow = z.infer<typeof rowSchema>;

const tokensSchema = z.object({ text: z.string(), ends: z.array(z.number()), entropies: z.array(z.number()) });
export type SaidTokens = z.infer<typeof tokensSchema>;

/** What stood in one evaluation of one run. */
const saidSchema = z.object({
  run: z.string(),
  step: z.number(),
  /** Null: the model was not asked. */
  answer: z.string().nullable(),
  /** Whether only the answer's beginning was kept. */
  cut: z.boolean(),
  verdict,
  loss: nullable,
  finish: z.enum(['stop', 'length']).nullable(),
  /** Null: no sample was kept of this record. */
  tokens: tokensSchema.nullable(),
});
export type Said = z.infer<typeof saidSchema>;

const trackSchema = z.object({
  run: z.string(),
  points: z.array(z.object({ step: z.number(), verdict, loss: nullable, answered: z.boolean(), sampled: z.boolean() })),
});
export type Track = z.infer<typeof trackSchema>;

const detailSchema = z.object({
  key: z.string(),
  /** Its place in the list; null: the list does not hold it. */
  position: nullable,
  place: z.object({ file: z.string(), record: z.number(), line: z.number() }),
  prompt: z.string().nullable(),
  reference: z.string().nullable(),
  /** Where prompt and reference come from: the run's log, the data set as it is now, or nowhere, with the reason. */
  source: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('log') }),
    z.object({ kind: z.literal('file') }),
    z.object({ kind: z.literal('reading') }),
    z.object({ kind: z.literal('missing'), reason: z.string() }),
  ]),
  tracks: z.array(trackSchema),
  shown: saidSchema.nullable(),
  /** What it is compared with, where that is an answer. */
  base: saidSchema.nullable(),
});
export type PromptDetail = z.infer<typeof detailSchema>;

export const toSamples = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('runs'),
    runs: z.array(runSchema),
    /** Folders that hold no run, or none that is known yet. */
    missing: z.array(z.string()),
    /** Names of the evaluation sets of these runs. */
    sets: z.array(z.string()),
    /** Whether the logs' past is still being read. */
    reading: z.boolean(),
  }),
  z.object({
    type: z.literal('list'),
    /** Rows of an older version stand elsewhere in the list by now. */
    version: z.number(),
    set: z.string().nullable(),
    run: z.string().nullable(),
    count: z.number(),
    counts: z.record(z.enum(promptFilters), z.number()),
    /** Steps of the evaluations of the listed run. */
    steps: z.array(z.number()),
    /** Whether any answer was checked. */
    checked: z.boolean(),
    /** Records for which the run's config keeps samples at each evaluation. */
    samplesKept: z.number(),
    /** Place of the selected record; null: not in the list. */
    position: nullable,
  }),
  z.object({ type: z.literal('rows'), version: z.number(), from: z.number(), rows: z.array(rowSchema) }),
  z.object({ type: z.literal('detail'), detail: detailSchema.nullable() }),
  /** Shows the evaluation at this step, or the last one before it. */
  z.object({ type: z.literal('goTo'), step: z.number() }),
]);
export type ToSamples = z.infer<typeof toSamples>;

export const fromSamples = z.discriminatedUnion('type', [
  /** The page is there: everything is sent. */
  z.object({ type: z.literal('ready'), query: querySchema }),
  z.object({ type: z.literal('query'), query: querySchema }),
  z.object({
    type: z.literal('rows'),
    version: z.number(),
    from: z.number().int().min(0),
    count: z.number().int().min(0).max(500),
  }),
  /** Shows the record that stands at this place of the list. */
  z.object({ type: z.literal('selectAt'), position: z.number().int().min(0) }),
  /** The rest is what a person asks for. */
  z.object({ type: z.literal('openDiff') }),
  z.object({ type: z.literal('openRecord') }),
  z.object({ type: z.literal('add') }),
  z.object({ type: z.literal('remove'), run: z.string() }),
  z.object({ type: z.literal('openCharts') }),
  z.object({ type: z.literal('openConfig'), run: z.string() }),
]);
export type FromSamples = z.infer<typeof fromSamples>;

/** What the view keeps over reloads. `keys`, the runs' folders, is what the extension opens it with again. */
export const samplesState = z.object({ keys: z.array(z.string()), query: querySchema });
export type SamplesState = z.infer<typeof samplesState>;

export const firstQuery: SamplesQuery = {
  set: null,
  run: null,
  filter: 'answered',
  order: 'worst',
  text: '',
  selected: null,
  shown: null,
  step: null,
  base: { kind: 'previous' },
};

export const firstSamplesState: SamplesState = { keys: [], query: firstQuery };

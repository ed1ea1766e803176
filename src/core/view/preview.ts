/** What the data set preview and the extension say to each other. Sizes are bounded on the extension's side. */

import * as z from 'zod';
import { problemKinds } from './preview-problems.js';

export const formats = ['auto', 'alpaca', 'sharegpt', 'messages', 'custom', 'text'] as const;
export const views = ['chat', 'tokens', 'raw'] as const;
export type ViewKind = (typeof views)[number];

/** How the fields of a record are read. */
export const mapping = z.strictObject({
  format: z.enum(formats),
  prompt: z.string().max(500).optional(),
  completion: z.string().max(500).optional(),
  system: z.string().max(500).optional(),
  messages: z.string().max(500).optional(),
});
export type Mapping = z.infer<typeof mapping>;

const count = z.number().int().min(0);

/** What rows are kept; empty: all. */
export const filter = z.strictObject({
  text: z.string().max(10_000),
  regex: z.boolean(),
  matchCase: z.boolean(),
  /** `any`, `role:<role>` or `field:<name>`. */
  scope: z.string().max(500),
  minTokens: count.nullable(),
  maxTokens: count.nullable(),
  turns: count.nullable(),
  label: z.string().max(500).nullable(),
  problem: z.enum(problemKinds).nullable(),
  sort: z.enum(['file', 'shortest', 'longest']),
});
export type Filter = z.infer<typeof filter>;

export const noFilter: Filter = {
  text: '',
  regex: false,
  matchCase: false,
  scope: 'any',
  minTokens: null,
  maxTokens: null,
  turns: null,
  label: null,
  problem: null,
  sort: 'file',
};

const message = z.strictObject({
  role: z.enum(['system', 'user', 'assistant', 'tool']),
  content: z.string(),
  reasoning: z.string().optional(),
  /** Tool calls and what else the message has, as JSON. */
  extra: z.string().optional(),
});

/** A row as it is shown. Long texts are cut; `cut` says by how many characters. */
export const previewRow = z.strictObject({
  row: count,
  line: count,
  bytes: z.number(),
  format: z.string().optional(),
  problem: z.string().optional(),
  field: z.string().optional(),
  messages: z.array(message).optional(),
  tools: z.string().optional(),
  raw: z.string().optional(),
  cut: count,
});
export type PreviewRow = z.infer<typeof previewRow>;

/** A row's tokens. `runs` covers all of them, the others only those that are shown. */
export const rowTokens = z.strictObject({
  row: count,
  total: count,
  /** Lengths of prompt and completion parts in turn, beginning with a prompt's. */
  runs: z.array(count),
  ids: z.array(count),
  /** Bytes of the shown tokens after each other, one character for each (U+0000 to U+00FF). */
  bytes: z.string(),
  /** Where each shown token ends in `bytes`. */
  ends: z.array(count),
  /** Which of the shown tokens are special or added ones. */
  specials: z.array(count),
  problem: z.string().optional(),
});
export type RowTokens = z.infer<typeof rowTokens>;

const choice = z.strictObject({ value: z.string(), label: z.string() });

export const setInfo = z.strictObject({
  name: z.string(),
  folder: z.string(),
  kind: z.string(),
  bytes: z.number(),
  /** Names of the fields in the first records. */
  fields: z.array(z.string()),
  mapping,
  /** The format of the first record that has one. */
  detected: z.string().optional(),
  models: z.array(choice),
  model: z.string(),
  template: z.string(),
  modelProblem: z.string().optional(),
  maskSource: z.string().optional(),
  maxPositions: z.number().optional(),
  evaluations: z.array(choice),
  evaluation: z.string(),
  canTrain: z.boolean(),
  canSave: z.boolean(),
});
export type SetInfo = z.infer<typeof setInfo>;

const problem = z.strictObject({
  kind: z.enum(problemKinds),
  severity: z.enum(['error', 'warning', 'info']),
  message: z.string(),
  count,
  /** The first places, for a look. */
  first: z.array(z.strictObject({ row: count, line: count, message: z.string() })),
});
export type PreviewProblem = z.infer<typeof problem>;

/** What every line's bytes tell, exact long before all records were read. Lengths are in bytes. */
const checked = z.strictObject({
  records: count,
  malformed: count,
  longest: count,
  bytes: z.number(),
  bins: z.array(z.tuple([count, count])),
  fields: z.array(z.strictObject({ name: z.string(), types: z.string(), count })),
});
export type Checked = z.infer<typeof checked>;

/** Figures of the set, or of what was read of it so far. */
export const figures = z.strictObject({
  /** Share of the file read, 0 to 1. */
  share: z.number(),
  done: z.boolean(),
  /** Without tokens: no model, or a tokenizer that cannot be used. */
  hasTokens: z.boolean(),
  records: count,
  turns: count,
  tokens: z.number(),
  keptTokens: z.number(),
  lossTokens: z.number(),
  longest: count,
  truncated: count,
  formats: z.array(z.tuple([z.string(), count])),
  /** Least length of each bin, and how many records are in it. */
  bins: z.array(z.tuple([count, count])),
  labels: z.array(z.tuple([z.string(), count])),
  problems: z.array(problem),
  checked: checked.optional(),
});
export type Figures = z.infer<typeof figures>;

export const toPreview = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('set'), set: setInfo }),
  /** How many rows the view has; `version` is that of the view's last `show`. */
  z.strictObject({
    type: z.literal('rowCount'),
    version: count,
    count,
    complete: z.boolean(),
    /** Of a filter under way: rows looked at so far. */
    searched: count.nullable(),
    problem: z.string().optional(),
  }),
  z.strictObject({ type: z.literal('rows'), version: count, from: count, rows: z.array(previewRow) }),
  z.strictObject({ type: z.literal('tokens'), version: count, from: count, tokens: z.array(rowTokens.nullable()) }),
  z.strictObject({ type: z.literal('whole'), row: count, shown: previewRow.optional(), tokens: rowTokens.optional() }),
  z.strictObject({ type: z.literal('figures'), figures }),
  z.strictObject({ type: z.literal('failed'), message: z.string(), advice: z.string().optional() }),
  z.strictObject({ type: z.literal('notice'), message: z.string() }),
  z.strictObject({ type: z.literal('reveal'), row: count }),
]);
export type ToPreview = z.infer<typeof toPreview>;

const lossOn = z.enum(['completion', 'all']);

export const fromPreview = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('ready') }),
  /** What rows are wanted, in which order; all that comes for an older version is dropped. */
  z.strictObject({ type: z.literal('show'), version: count, filter }),
  z.strictObject({ type: z.literal('rows'), version: count, from: count, count: count.max(200), view: z.enum(views) }),
  z.strictObject({ type: z.literal('tokens'), version: count, from: count, count: count.max(200) }),
  /** One row with texts and tokens as long as can be shown. */
  z.strictObject({ type: z.literal('whole'), row: count, view: z.enum(views) }),
  z.strictObject({ type: z.literal('mask'), lossOn, maxLength: count.min(1) }),
  z.strictObject({ type: z.literal('mapping'), mapping }),
  z.strictObject({ type: z.literal('model'), model: z.string().max(4096) }),
  z.strictObject({ type: z.literal('evaluation'), evaluation: z.string().max(4096) }),
  z.strictObject({ type: z.literal('pick'), what: z.enum(['model', 'template', 'ownTemplate']) }),
  z.strictObject({ type: z.literal('save') }),
  z.strictObject({ type: z.literal('fineTune') }),
  z.strictObject({ type: z.literal('openLine'), line: count }),
  z.strictObject({ type: z.literal('copy'), row: count }),
  z.strictObject({ type: z.literal('reload') }),
  /** Ends a search, or the reading of the whole set. */
  z.strictObject({ type: z.literal('stop'), what: z.enum(['search', 'scan']) }),
  z.strictObject({ type: z.literal('scan') }),
]);
export type FromPreview = z.infer<typeof fromPreview>;

/** What the page keeps while it is hidden. */
export const previewState = z.strictObject({
  view: z.enum(views),
  lossOn,
  maxLength: z.number().int().min(1),
  filter,
  top: count,
  overview: z.boolean(),
});
export type PreviewState = z.infer<typeof previewState>;

export const firstPreviewState: PreviewState = {
  view: 'chat',
  lossOn: 'completion',
  maxLength: 1024,
  filter: noFilter,
  top: 0,
  overview: true,
};

/** The wire between the data set preview and the extension. */

import { z } from 'zod';

const format = z.enum(['auto', 'alpaca', 'sharegpt', 'messages', 'custom', 'text']);
const fields = z.object({
  prompt: z.string().max(500).exactOptional(),
  completion: z.string().max(500).exactOptional(),
  system: z.string().max(500).exactOptional(),
  messages: z.string().max(500).exactOptional(),
});
export const recordMapping = z.object({ format, fields });
/** How records are read; `auto` finds the format. */
export type RecordMapping = z.infer<typeof recordMapping>;

const message = z.object({
  role: z.enum(['system', 'user', 'assistant', 'tool']),
  content: z.string(),
  reasoning: z.string().optional(),
  /** Tool calls and the like, as JSON. */
  extra: z.string().optional(),
});

/** A row as it is shown; long texts are cut. */
const row = z.object({
  /** From 0. */
  row: z.number(),
  line: z.number(),
  summary: z.string(),
  /** The record as JSON. */
  raw: z.string(),
  length: z.number(),
  messages: z.array(message),
  problem: z.string().optional(),
  cut: z.boolean(),
});
export type PreviewRow = z.infer<typeof row>;

const token = z.object({
  id: z.number(),
  text: z.string(),
  /** The token's bytes, in hexadecimal. */
  bytes: z.string(),
  completion: z.boolean(),
  special: z.boolean(),
});
export type PreviewToken = z.infer<typeof token>;

const choice = z.object({ value: z.string(), label: z.string() });
const bin = z.object({ from: z.number(), to: z.number(), count: z.number() });
const problemGroup = z.object({
  kind: z.string(),
  count: z.number(),
  rows: z.array(z.object({ row: z.number(), message: z.string() })),
});
export const overview = z.object({
  records: z.number(),
  usable: z.number(),
  sampled: z.boolean(),
  turns: z.number(),
  formats: z.string(),
  tokens: z
    .object({ tokens: z.number(), lossTokens: z.number(), truncatedRecords: z.number(), maxLength: z.number() })
    .nullable(),
  /** Of tokens where they were counted, else of characters. */
  bins: z.array(bin),
  labels: z.array(z.object({ label: z.string(), count: z.number() })),
  problems: z.array(problemGroup),
});
export type PreviewOverview = z.infer<typeof overview>;

export const toPreview = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('opened'),
    name: z.string(),
    kind: z.string(),
    size: z.string(),
    mapping: recordMapping,
    /** The format that was found, and the names of the fields to choose from. */
    detected: z.string(),
    fieldNames: z.array(z.string()),
    models: z.array(choice),
    model: z.string(),
    maxLength: z.number(),
  }),
  /** How many rows the list has; `complete`: that is all of them. */
  z.object({
    type: z.literal('count'),
    count: z.number(),
    complete: z.boolean(),
    filter: z.string().nullable(),
    total: z.number(),
  }),
  z.object({ type: z.literal('rows'), version: z.number(), from: z.number(), rows: z.array(row) }),
  z.object({
    type: z.literal('tokens'),
    row: z.number(),
    tokens: z.array(token),
    /** More tokens than are sent. */
    more: z.number(),
    problem: z.string().optional(),
  }),
  z.object({ type: z.literal('overview'), overview }),
  z.object({ type: z.literal('busy'), what: z.string().nullable() }),
  z.object({ type: z.literal('failed'), message: z.string(), about: z.enum(['file', 'filter', 'overview']) }),
  z.object({ type: z.literal('jump'), position: z.number() }),
]);
export type ToPreview = z.infer<typeof toPreview>;

export const fromPreview = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ready') }),
  z.object({
    type: z.literal('rows'),
    version: z.number(),
    from: z.number().int().min(0),
    count: z.number().int().min(1).max(500),
  }),
  z.object({ type: z.literal('tokens'), row: z.number().int().min(0) }),
  z.object({ type: z.literal('mapping'), mapping: recordMapping }),
  z.object({ type: z.literal('model'), model: z.string().max(4096) }),
  z.object({ type: z.literal('maxLength'), maxLength: z.number().int().min(1) }),
  z.object({ type: z.literal('filter'), where: z.string().max(4096), sort: z.enum(['', 'length', '-length']) }),
  z.object({ type: z.literal('stop') }),
  z.object({ type: z.literal('overview') }),
  z.object({ type: z.literal('goTo'), row: z.number().int().min(0) }),
  z.object({ type: z.literal('save') }),
  z.object({ type: z.literal('fineTune') }),
]);
export type FromPreview = z.infer<typeof fromPreview>;

export const previewPageState = z.object({
  view: z.enum(['chat', 'raw', 'tokens', 'overview']),
  position: z.number().int().min(0),
  lossOn: z.enum(['completion', 'all']),
});
export type PreviewPageState = z.infer<typeof previewPageState>;

/**
 * The events of a run, as they stand in `events.jsonl` (one JSON object a line) and travel to viewers: a wire format.
 *
 * Every event carries the format's version `v`, a sequence number `seq` that grows by one and never repeats in a run, and
 * the wall-clock `time`. Losses and entropies are in nats, means over tokens; null: not measured (JSON has no NaN).
 */

import * as z from 'zod';

export const eventVersion = 1;

const nullable = z.number().nullable();
const step = z.number().int().min(0);
const count = z.number().int().min(0);

const placeSchema = z.object({ file: z.string(), index: count, line: z.number().int().min(0) });

const statusEvent = z.object({
  type: z.literal('status'),
  /**
   * `started`: a process began from step 0; what earlier attempts logged is void. `resumed`: it continues after `step`; what
   * earlier attempts logged for later steps is void. The others end an attempt.
   */
  status: z.enum(['started', 'resumed', 'finished', 'failed', 'interrupted']),
  step,
  /** Steps of the whole run; an estimate while a streamed data set has not been read to its end. */
  totalSteps: step,
  reason: z.string().optional(),
  pid: z.number().int().optional(),
  /** Seconds spent in training steps (no evaluation, no saving), over all attempts. */
  trainSeconds: z.number(),
  /** Where an attempt that ended in order spent them: how many steps, and seconds in the engine, waiting for data, and in all. */
  timing: z.object({ steps: count, engine: z.number(), data: z.number(), total: z.number() }).optional(),
});

const setupEvent = z.object({
  type: z.literal('setup'),
  device: z.string(),
  threads: count,
  architecture: z.string(),
  parameters: count,
  trainableParameters: count,
  totalSteps: step,
  stepsPerEpoch: z.number().nullable(),
  /** Whether `totalSteps` is exact, or estimated from part of a streamed file. */
  exact: z.boolean(),
  maskSource: z.string(),
  /** Bytes of the device's memory: what is planned for, and what was free. Older runs lack it. */
  memory: z
    .object({
      weights: count,
      training: count,
      working: count,
      peak: count,
      available: count,
      checkpointing: z.boolean(),
      /** Tokens up to which a step's microbatches are joined; 0: they are not. */
      joined: count.optional(),
    })
    .optional(),
  /** By name; the training data is `train`. */
  sets: z.record(
    z.string(),
    z.object({
      records: count,
      tokens: count,
      lossTokens: count,
      truncatedRecords: count,
      truncatedTokens: count,
      skippedRecords: count,
    }),
  ),
});

const trainEvent = z.object({
  type: z.literal('train'),
  step,
  epoch: z.number(),
  /** Tokens that went through the model since step 0. */
  tokens: count,
  /** Tokens trained on, in the steps of this point. */
  lossTokens: z.number(),
  /** What is minimised: the mean over the tokens trained on. */
  loss: z.number(),
  promptLoss: nullable,
  completionLoss: nullable,
  /** Over completion tokens (over all where there are no completions), so that runs compare whatever they train on. */
  tokenAccuracy: nullable,
  entropy: nullable,
  learningRate: z.number(),
  /** Before clipping; the last step's. */
  gradNorm: z.number(),
  tokensPerSecond: z.number(),
  /** Bytes: the engine's now and at most, and the whole process's. */
  memory: z.object({ current: z.number(), peak: z.number(), process: z.number() }),
  /** On a GPU: the share of time in which it computed, and bytes of its memory that are taken, by all processes. */
  gpu: z.object({ busy: z.number(), memory: count }).optional(),
  trainSeconds: z.number(),
});

const answersSchema = z.object({
  verifier: z.enum(['label', 'number', 'exact', 'none']),
  count,
  accuracy: nullable,
  kappa: nullable,
  meanScore: nullable,
  unparsable: count,
  /** Time of generation over number of answers: answers are generated in batches. */
  msPerSample: z.number(),
  /** Mean entropy of the generated tokens. */
  entropy: nullable,
  /** Rows are references, columns answers, the last column unparsable answers; for labels only. */
  confusion: z.object({ labels: z.array(z.string()), counts: z.array(z.array(count)) }).nullable(),
});

const evalEvent = z.object({
  type: z.literal('eval'),
  set: z.string(),
  step,
  epoch: z.number(),
  examples: count,
  loss: nullable,
  promptLoss: nullable,
  completionLoss: nullable,
  tokenAccuracy: nullable,
  entropy: nullable,
  seconds: z.number(),
  /** Null where nothing was generated. */
  answers: answersSchema.nullable(),
});

const examplesEvent = z.object({
  type: z.literal('examples'),
  set: z.string(),
  step,
  files: z.array(z.string()),
  /** `file` is an index into `files`; `line` counts from 1, `index` from 0. */
  items: z.array(
    z.object({
      file: count,
      index: count,
      line: z.number().int().min(0),
      loss: nullable,
      answer: z.string().optional(),
      right: z.boolean().optional(),
    }),
  ),
});

const sampleEvent = z.object({
  type: z.literal('sample'),
  set: z.string(),
  step,
  place: placeSchema,
  prompt: z.string(),
  reference: z.string(),
  answer: z.string(),
  /** Null where no verifier decides. */
  right: z.boolean().nullable(),
  finish: z.enum(['stop', 'length']),
  /** Text of each generated token, and the entropy of the distribution it came from. */
  tokens: z.array(z.string()),
  entropies: z.array(z.number()),
});

const checkpointEvent = z.object({
  type: z.literal('checkpoint'),
  step,
  /** Relative to the run's folder. */
  path: z.string(),
  bytes: count,
  /** Read back and compared with its manifest. */
  verified: z.boolean(),
  seconds: z.number(),
  /** Checkpoints deleted by `save_total_limit`, relative to the run's folder. */
  deleted: z.array(z.string()),
  trainSeconds: z.number(),
});

const warningEvent = z.object({
  type: z.literal('warning'),
  kind: z.string(),
  message: z.string(),
  count: count.optional(),
  /** The first ten. */
  places: z.array(z.object({ place: placeSchema, message: z.string() })).optional(),
});

const eventBodySchema = z.discriminatedUnion('type', [
  statusEvent,
  setupEvent,
  trainEvent,
  evalEvent,
  examplesEvent,
  sampleEvent,
  checkpointEvent,
  warningEvent,
]);

const envelope = { v: z.literal(eventVersion), seq: count, time: z.iso.datetime() };

// Not an intersection of envelope and body: that takes five times as long, and editors parse thousands of events a second.
export const runEventSchema = z.discriminatedUnion('type', [
  statusEvent.extend(envelope),
  setupEvent.extend(envelope),
  trainEvent.extend(envelope),
  evalEvent.extend(envelope),
  examplesEvent.extend(envelope),
  sampleEvent.extend(envelope),
  checkpointEvent.extend(envelope),
  warningEvent.extend(envelope),
]);

export type EventBody = z.infer<typeof eventBodySchema>;
export type RunEvent = z.infer<typeof runEventSchema>;
export type EventOf<T extends EventBody['type']> = Extract<RunEvent, { type: T }>;
export type BodyOf<T extends EventBody['type']> = Extract<EventBody, { type: T }>;
export type RunStatus = BodyOf<'status'>['status'];
export type AnswerStats = z.infer<typeof answersSchema>;

/** Parses one line; undefined where it is torn, malformed, or of a kind or version this program does not know. */
export function parseEvent(line: string): RunEvent | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  const parsed = runEventSchema.safeParse(value);
  return parsed.success ? parsed.data : undefined;
}

/** One line, with its end. */
export function formatEvent(body: EventBody, seq: number, time: Date): { event: RunEvent; line: string } {
  const event: RunEvent = { v: eventVersion, seq, time: time.toISOString(), ...body };
  return { event, line: `${JSON.stringify(event)}\n` };
}

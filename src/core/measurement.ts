/** What `sft-lab measure --json` prints: a config's cost on this machine. A wire format. */

import * as z from 'zod';

export const measurementSchema = z.object({
  device: z.string(),
  /** Bytes that the device has. */
  deviceMemory: z.number(),
  architecture: z.string(),
  parameters: z.number(),
  trainableParameters: z.number(),
  /** Training examples of an epoch; an estimate where `exact` is false. */
  records: z.number(),
  exact: z.boolean(),
  stepsPerEpoch: z.number(),
  totalSteps: z.number(),
  /** Tokens of the whole run. */
  tokens: z.number(),
  /** Tokens of the microbatch that memory was measured with. */
  longestMicrobatch: z.number(),
  microbatchesMeasured: z.number(),
  tokensPerSecond: z.number(),
  secondsPerUpdate: z.number(),
  /** Bytes: the most that the engine held, and that the process had. */
  engineMemory: z.number(),
  processMemory: z.number(),
  /** Estimated seconds of the run: in its steps, and in its evaluations. */
  trainSeconds: z.number(),
  evaluations: z.number(),
  evaluationSeconds: z.number(),
});
export type Measurement = z.infer<typeof measurementSchema>;

/** What it prints where the config, its data or its model would not train. */
export const refusalSchema = z.object({
  error: z.object({
    message: z.string(),
    file: z.string().optional(),
    line: z.number().optional(),
    field: z.string().optional(),
    advice: z.string().optional(),
  }),
});
export type Refusal = z.infer<typeof refusalSchema>;

/** What a trial is: one file of trials/, which measures and gives back figures. */

import { z } from 'zod';
import type { ModelShape } from './model.js';
import type { RecordSize } from './records.js';
import type { Side } from './work.js';

/** One row of the table. Values are null where a side could not do it; `notes` says why. */
export const figureSchema = z.object({
  /** What targets.ts knows it by. */
  key: z.string(),
  title: z.string(),
  unit: z.string(),
  better: z.enum(['more', 'less']),
  ours: z.number().nullable(),
  /** By the peer's name. */
  peers: z.record(z.string(), z.number().nullable()),
});
export type Figure = z.infer<typeof figureSchema>;

/** Something that has to hold for the figures to mean anything. */
export const checkSchema = z.object({ title: z.string(), value: z.string(), holds: z.boolean() });
export type Check = z.infer<typeof checkSchema>;

export const trialResultSchema = z.object({
  trial: z.string(),
  title: z.string(),
  date: z.string(),
  quick: z.boolean(),
  /** Share of the machine's time, 0 to 1, that other programs took meanwhile. */
  others: z.number(),
  /** What was done, for a reader of the table. */
  setting: z.string(),
  figures: z.array(figureSchema),
  checks: z.array(checkSchema),
  notes: z.array(z.string()),
  /** What is no figure against a peer. */
  tables: z.array(z.object({ header: z.array(z.string()), rows: z.array(z.array(z.string())) })).optional(),
});
export type TrialResult = z.infer<typeof trialResultSchema>;

/** What every trial works with. */
export interface Bench {
  /** The project's folder. */
  readonly root: string;
  /** A folder for what the bench makes; build/bench. */
  readonly scratch: string;
  /** A smaller version: fewer rounds, shorter steps. */
  readonly quick: boolean;
  /** The Python that has the peers. */
  readonly python: string;
  readonly ours: Side;
  readonly trainer: Side;
  readonly trl: Side;
  /** TRL with one record a microbatch, whatever the work says; the step stays the same. */
  readonly trlSingle: Side;
  /** The machine's own rate of matrix products (oneDNN, 2048 cubed), in GFLOP/s; measured anew by each call. */
  peak(): Promise<{ readonly fp32: number; readonly bf16: number; readonly oneDNN: string }>;
  /** Folder of a model with random weights, made once. */
  model(shape: ModelShape): Promise<string>;
  /** A file of records with these bounds, made anew, and their sizes. */
  records(options: {
    readonly name: string;
    readonly count: number;
    readonly group: number;
    readonly shortest: number;
    readonly longest: number;
    readonly vocabulary: number;
  }): Promise<{ readonly path: string; readonly sizes: readonly RecordSize[] }>;
  /** A line for who waits. */
  say(text: string): void;
}

export interface Trial {
  /** What the command line calls it. */
  readonly name: string;
  readonly title: string;
  run(bench: Bench): Promise<Omit<TrialResult, 'trial' | 'title' | 'date' | 'quick' | 'others'>>;
}

/** Runs and experiments as lists and status displays show them. */

import type { Experiment, RunInfo } from '../core/experiment.js';
import type { BestMetric } from './digest.js';
import type { LockContent } from './lock.js';

/**
 * `queued`: planned by a comparison that is under way, or made and never begun. `stopped`: on request. `interrupted`: its
 * process was killed.
 */
export type RowState = 'queued' | 'running' | 'interrupted' | 'stopped' | 'finished' | 'failed';

/** One run, as a row of a list shows it. */
export interface RunRow {
  /** The run's folder: what names a run everywhere in the editor. */
  readonly folder: string;
  /** Name of the folder. */
  readonly name: string;
  /** What a person calls it. */
  readonly label: string;
  /** Name and folder of the experiment. */
  readonly experiment: string;
  readonly experimentFolder: string;
  /** What a person calls the experiment. */
  readonly experimentLabel: string;
  readonly kind: RunInfo['kind'];
  readonly state: RowState;
  /** Why it failed or was interrupted. */
  readonly reason: string | undefined;
  readonly step: number;
  /** 0: not known yet. */
  readonly totalSteps: number;
  readonly epoch: number;
  readonly loss: number | undefined;
  readonly best: BestMetric | undefined;
  readonly secondsPerStep: number | undefined;
  readonly tokensPerSecond: number | undefined;
  readonly trainSeconds: number;
  /** ISO 8601. */
  readonly created: string | undefined;
  readonly startedAt: string | undefined;
  readonly updatedAt: string | undefined;
  /** The file it was started from. */
  readonly configFile: string | undefined;
  /** The resolved config, unchecked. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The process that trains it. */
  readonly holder: LockContent | undefined;
}

export interface ExperimentRow {
  readonly folder: string;
  /** Name of the folder. */
  readonly name: string;
  /** What a person calls it. */
  readonly label: string;
  /** The comparison's file, where the experiment is one. */
  readonly comparison: Experiment | undefined;
  /** The process that works through the comparison. */
  readonly holder: LockContent | undefined;
  /** When a run last came or went, in milliseconds since 1970. */
  readonly changedAt: number;
  readonly runs: readonly RunRow[];
}

export interface IndexChange {
  /** Whether runs or experiments came or went. */
  readonly structure: boolean;
  /** Folders of the runs that changed. */
  readonly runs: ReadonlySet<string>;
}

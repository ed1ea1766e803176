/** What passes between the worker that does the data work and the thread that asks for it. */

import type { Place } from '../core/errors.js';
import type {
  BatchSize,
  DataReport,
  EvaluationSet,
  PromptExample,
  TokenizedExample,
  TrainingDataOptions,
} from './types.js';

export interface WorkerData {
  /** Int32: records begun (a heartbeat), number of the file, line. */
  readonly progress: SharedArrayBuffer;
}

export interface Requests {
  open: { readonly in: TrainingDataOptions; readonly out: Opened };
  next: { readonly in: number; readonly out: TokenizedExample[] };
  seek: { readonly in: { readonly epoch: number; readonly index: number }; readonly out: null };
  largest: { readonly in: { readonly count: number; readonly epochs: number }; readonly out: BatchSize };
  decode: { readonly in: Int32Array; readonly out: string };
  pieces: { readonly in: Int32Array; readonly out: string[] };
  encodePrompts: { readonly in: readonly string[]; readonly out: PromptExample[] };
}

export interface Opened {
  readonly report: DataReport;
  readonly stopTokens: Int32Array;
  readonly evaluation: readonly EvaluationSet[];
}

export type Method = keyof Requests;
export type Request = {
  [M in Method]: { readonly id: number; readonly method: M; readonly argument: Requests[M]['in'] };
}[Method];

export type Reply =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly failure: Failure };

/** An error on its way; a `lab` error is one that people are meant to read. */
export interface Failure {
  readonly lab: boolean;
  readonly message: string;
  readonly place: Place;
  readonly advice: string | undefined;
  readonly stack: string | undefined;
}

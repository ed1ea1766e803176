/** What a bench run is given and gives back, whichever program does it. */

import type { RecordSize } from './records.js';

/** One piece of training, described so that every program can do the same. Records are used in the order of the file. */
export interface Work {
  /** Folder of the model. */
  readonly model: string;
  /** JSONL with the texts `prompt` and `completion`. */
  readonly data: string;
  /** The same records for peers that want them written otherwise. */
  readonly peerData?: string;
  /** Of each record; empty where they are not known. */
  readonly sizes: readonly RecordSize[];
  readonly method: 'full' | 'lora';
  readonly precision: 'fp32' | 'bf16';
  /** Records of a microbatch, and microbatches of a step. */
  readonly batchSize: number;
  readonly accumulation: number;
  readonly steps: number;
  readonly maxLength: number;
  readonly learningRate: number;
  /** Recompute activations in the backward pass. */
  readonly gradientCheckpointing: boolean;
  /** 0: one for each core. */
  readonly threads: number;
}

export const loraRank = 16;
export const loraAlpha = 32;

/** The end of a step, in seconds since 1970. */
export interface StepMark {
  readonly step: number;
  readonly time: number;
  readonly loss: number;
}

export interface RunResult {
  /** When the process was started, in seconds since 1970. */
  readonly started: number;
  readonly steps: readonly StepMark[];
  /** Most memory the process ever held (VmHWM), in bytes, as of the end of the last step. */
  readonly peakBytes: number;
  /** What only our trainer tells. */
  readonly own?: OwnFigures;
}

export interface OwnFigures {
  /** Bytes that the memory plan said before the first step. */
  readonly plannedBytes: number;
  /** Bytes that the engine had taken at most, as of the last step. */
  readonly takenBytes: number;
  /** Shares of the steps' time, 0 to 1: outside the engine without waiting, and waiting for data. */
  readonly outside: number;
  readonly waiting: number;
}

/** A program that trains: ours or a peer. */
export interface Side {
  readonly name: string;
  run(work: Work): Promise<RunResult>;
}

/** Tokens and trained-on tokens of the steps after `warmup`. */
export function measuredTokens(work: Work, warmup: number): RecordSize {
  const each = work.batchSize * work.accumulation;
  const sizes = Array.from(
    { length: (work.steps - warmup) * each },
    (_, i) => work.sizes[(warmup * each + i) % work.sizes.length] ?? { tokens: 0, lossTokens: 0 },
  );
  return {
    tokens: sizes.reduce((sum, size) => sum + size.tokens, 0),
    lossTokens: sizes.reduce((sum, size) => sum + size.lossTokens, 0),
  };
}

/** Seconds from the end of step `warmup` to the end of the last: everything that a step takes, and no start of a process. */
export function measuredSeconds(result: RunResult, warmup: number): number {
  const from = result.steps.find(({ step }) => step === warmup);
  const to = result.steps.at(-1);
  if (from === undefined || to === undefined || to.step <= warmup) throw new Error('the run reported too few steps');
  return to.time - from.time;
}

export type Rounds = ReadonlyMap<string, readonly (RunResult | Error)[]>;

/**
 * Lets every side do the work `rounds` times, in turn, so that whatever slows the machine slows them all. A side that fails is
 * not asked again.
 */
export async function interleave(
  entries: readonly { key: string; side: Side; work: Work }[],
  rounds: number,
  say: (text: string) => void,
): Promise<Rounds> {
  const results = new Map<string, (RunResult | Error)[]>(entries.map(({ key }) => [key, []]));
  for (let round = 0; round < rounds; round++) {
    for (const { key, side, work } of entries) {
      const known = results.get(key) ?? [];
      if (known.some((one) => one instanceof Error)) continue;
      const began = Date.now();
      const outcome = await side.run(work).catch((error: unknown) => asError(error));
      known.push(outcome);
      const seconds = ((Date.now() - began) / 1000).toFixed(0);
      say(`${key}: ${outcome instanceof Error ? outcome.message : 'done'} (${seconds} s)`);
    }
  }
  return results;
}

export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

/** The runs that went through; undefined where one failed. */
export function succeeded(results: readonly (RunResult | Error)[] | undefined): readonly RunResult[] | undefined {
  if (results === undefined || results.length === 0) return undefined;
  const good = results.filter((one): one is RunResult => !(one instanceof Error));
  return good.length === results.length ? good : undefined;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

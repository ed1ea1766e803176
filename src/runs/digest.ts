/** A run's log in short, as lists of runs show it: where it stands, and its best evaluation. Folded from new bytes only. */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import * as z from 'zod';
import { codeOf } from '../core/errors.js';
import { parseEvent, type RunEvent } from '../core/events.js';

export const evalsSchema = z.array(
  z.object({
    step: z.number(),
    set: z.string(),
    loss: z.number().nullable(),
    accuracy: z.number().nullable(),
    kappa: z.number().nullable(),
  }),
);

/** All of it that does not grow with the log. */
export const digestHeadSchema = z.object({
  /** Bytes of the log that are folded, up to the end of a line; and the file they are of. */
  offset: z.number(),
  inode: z.number(),
  lastSeq: z.number(),
  status: z.enum(['started', 'resumed', 'finished', 'failed', 'interrupted']).nullable(),
  reason: z.string().nullable(),
  step: z.number(),
  totalSteps: z.number(),
  epoch: z.number(),
  /** Of the last point of the training curve. */
  loss: z.number().nullable(),
  tokensPerSecond: z.number().nullable(),
  trainSeconds: z.number(),
  /** A running mean over recent points. */
  secondsPerStep: z.number().nullable(),
  startedAt: z.string().nullable(),
  updatedAt: z.string().nullable(),
});
export type RunDigest = z.infer<typeof digestHeadSchema> & { evals: z.infer<typeof evalsSchema> };

export function emptyDigest(): RunDigest {
  return {
    offset: 0,
    inode: 0,
    lastSeq: -1,
    status: null,
    reason: null,
    step: 0,
    totalSteps: 0,
    epoch: 0,
    loss: null,
    tokensPerSecond: null,
    trainSeconds: 0,
    secondsPerStep: null,
    startedAt: null,
    updatedAt: null,
    evals: [],
  };
}

/** The best evaluation so far: by accuracy where answers were checked, else by loss. */
export const bestSchema = z.object({
  metric: z.enum(['accuracy', 'loss']),
  set: z.string(),
  step: z.number(),
  value: z.number(),
});
export type BestMetric = Readonly<z.infer<typeof bestSchema>>;

/** Of the first evaluation set. */
export function bestOf({ evals }: RunDigest): BestMetric | undefined {
  const set = evals[0]?.set;
  let best: BestMetric | undefined;
  for (const { step, set: of, accuracy, loss } of evals) {
    if (of !== set || set === undefined) continue;
    if (accuracy !== null) {
      if (best?.metric !== 'accuracy' || accuracy > best.value)
        best = { metric: 'accuracy', set, step, value: accuracy };
    } else if (loss !== null && best?.metric !== 'accuracy' && (best === undefined || loss < best.value)) {
      best = { metric: 'loss', set, step, value: loss };
    }
  }
  return best;
}

/** Adds one event, in place. */
export function foldDigest(digest: RunDigest, event: RunEvent): void {
  if (event.seq <= digest.lastSeq) return;
  digest.lastSeq = event.seq;
  digest.updatedAt = event.time;
  switch (event.type) {
    case 'status':
      if (event.status === 'started') digest.evals = [];
      if (event.status === 'resumed') digest.evals = digest.evals.filter(({ step }) => step <= event.step);
      if (event.status === 'started' || digest.startedAt === null) digest.startedAt = event.time;
      digest.status = event.status;
      digest.reason = event.reason ?? null;
      digest.step = event.step;
      if (event.totalSteps > 0) digest.totalSteps = event.totalSteps;
      digest.trainSeconds = event.trainSeconds;
      break;
    case 'setup':
      digest.totalSteps = event.totalSteps;
      break;
    case 'train': {
      const steps = event.step - digest.step;
      if (steps > 0 && event.trainSeconds > digest.trainSeconds) {
        const now = (event.trainSeconds - digest.trainSeconds) / steps;
        digest.secondsPerStep = digest.secondsPerStep === null ? now : 0.9 * digest.secondsPerStep + 0.1 * now;
      }
      digest.step = event.step;
      digest.epoch = event.epoch;
      digest.loss = event.loss;
      digest.tokensPerSecond = event.tokensPerSecond;
      digest.trainSeconds = event.trainSeconds;
      break;
    }
    case 'eval': {
      const { step, set, loss, answers } = event;
      digest.evals = digest.evals.filter((other) => other.set !== set || other.step !== step);
      digest.evals.push({ step, set, loss, accuracy: answers?.accuracy ?? null, kappa: answers?.kappa ?? null });
      break;
    }
    case 'examples':
    case 'sample':
    case 'checkpoint':
    case 'warning':
      break;
  }
}

/** Bytes that are read at a time. */
export const digestChunkBytes = 512 * 1024;
/** Enough of a line to find its type in. */
const headBytes = 128;

/**
 * Folds what a log has more than the digest knows, in place.
 *
 * @param scratch room for a chunk: thousands of logs are read one after the other
 * @returns the digest (a new one where the log was replaced), and whether there was nothing left to read; one chunk at most is
 * read in a call, so that long logs do not hold up others
 */
export function readDigest(path: string, digest: RunDigest, scratch: Buffer): { digest: RunDigest; complete: boolean } {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return { digest: emptyDigest(), complete: true };
    throw error;
  }
  try {
    const { size, ino } = fstatSync(file);
    const current = digest.inode === ino && size >= digest.offset ? digest : { ...emptyDigest(), inode: ino };
    if (size === current.offset) return { digest: current, complete: true };
    const wanted = Math.min(scratch.length, size - current.offset);
    let bytes = scratch.subarray(0, readSync(file, scratch, 0, wanted, current.offset));
    // A line longer than a chunk.
    while (!bytes.includes(0x0a) && current.offset + bytes.length < size) {
      const more = Buffer.allocUnsafe(Math.min(bytes.length, size - current.offset - bytes.length));
      bytes = Buffer.concat([
        bytes,
        more.subarray(0, readSync(file, more, 0, more.length, current.offset + bytes.length)),
      ]);
    }
    const used = foldLines(bytes, current);
    current.offset += used;
    return { digest: current, complete: used === 0 || current.offset === size };
  } finally {
    closeSync(file);
  }
}

/** Folds whole lines, of training points in a row only the last: those between change nothing that is shown. */
function foldLines(bytes: Buffer, digest: RunDigest): number {
  const lastLine = bytes.lastIndexOf(0x0a);
  let point: readonly [number, number] | undefined;
  const fold = (start: number, end: number): void => {
    const event = parseEvent(bytes.toString('utf8', start, end));
    if (event !== undefined) foldDigest(digest, event);
  };
  for (let start = 0, end = 0; start <= lastLine; start = end + 1) {
    end = bytes.indexOf(0x0a, start);
    const type = /"type":"(\w+)"/.exec(bytes.toString('latin1', start, Math.min(end, start + headBytes)))?.[1];
    if (type === 'sample' || type === 'examples') continue;
    if (type === 'train') {
      point = [start, end];
      continue;
    }
    if (point !== undefined) fold(...point);
    point = undefined;
    fold(start, end);
  }
  if (point !== undefined) fold(...point);
  return lastLine + 1;
}

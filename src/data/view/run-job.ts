/** Runs a job in a worker of its own, which is stopped when it is cancelled, stands still, or takes too much memory. */

import { Worker } from 'node:worker_threads';
import { LabError } from '../../core/errors.js';
import { errorOf } from '../failure.js';
import type { Failure } from '../protocol.js';
import { workerUrl } from '../worker-url.js';
import { type JobKind, type Jobs, progressSlots } from './jobs.js';

/** A record takes milliseconds; one that takes this long is a regular expression that runs away. */
const defaultStallSeconds = 10;
const maxHeapMegabytes = 2048;

export interface JobOptions {
  readonly signal?: AbortSignal;
  /** Called about ten times a second. */
  readonly onProgress?: (progress: { readonly row: number; readonly share: number }) => void;
  readonly stallSeconds?: number;
}

/** @throws LabError what is wrong with the data; or the signal's reason */
export function runJob<K extends JobKind>(
  kind: K,
  task: Jobs[K]['in'],
  options: JobOptions = {},
): Promise<Jobs[K]['out']> {
  const { signal, onProgress, stallSeconds = defaultStallSeconds } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason);
      return;
    }
    const progress = new SharedArrayBuffer(8 * progressSlots);
    const slots = new Float64Array(progress);
    const worker = new Worker(workerUrl(kind === 'segment' ? 'data-scan.js' : 'data-worker.js'), {
      workerData: { job: { kind, task }, progress },
      // A small young generation: most of a worker's memory would be that.
      resourceLimits: {
        maxOldGenerationSizeMb: maxHeapMegabytes,
        maxYoungGenerationSizeMb: kind === 'segment' ? 2 : 4,
      },
    });
    let lastBeat = 0;
    let lastMove = performance.now();
    const end = (settle: () => void): void => {
      clearInterval(timer);
      signal?.removeEventListener('abort', abort);
      settle();
      void worker.terminate();
    };
    const abort = (): void => end(() => reject(signal?.reason));
    const timer = setInterval(() => {
      const beat = slots[0] ?? 0;
      if (beat !== lastBeat) {
        lastBeat = beat;
        lastMove = performance.now();
        onProgress?.({ row: slots[1] ?? 0, share: slots[2] ?? 0 });
      } else if (performance.now() - lastMove > stallSeconds * 1000) {
        end(() => reject(stalled(slots[1] ?? 0, stallSeconds)));
      }
    }, 100);
    signal?.addEventListener('abort', abort, { once: true });
    worker.once('message', (reply: { ok: true; value: Jobs[K]['out'] } | { ok: false; failure: Failure }) => {
      end(() => (reply.ok ? resolve(reply.value) : reject(errorOf(reply.failure))));
    });
    worker.once('error', (error: Error & { code?: string }) => {
      const memory = error.code === 'ERR_WORKER_OUT_OF_MEMORY';
      end(() => reject(memory ? new LabError(`the work does not fit into ${maxHeapMegabytes} MB`) : error));
    });
    worker.once('exit', () => end(() => reject(new LabError('the data worker ended unexpectedly'))));
  });
}

function stalled(row: number, seconds: number): LabError {
  return new LabError(`row ${row + 1} takes longer than ${seconds} s, and the work was stopped`, {
    advice: 'The regular expression does not come to an end there: write it without repetitions inside repetitions.',
  });
}

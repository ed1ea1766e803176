/** The worker of a data set, started before it is known which one: it takes as long to be there as a program to read its config. */

import { Worker } from 'node:worker_threads';
import type { WorkerData } from './protocol.js';
import { workerUrl } from './worker-url.js';

export interface DataWorker {
  readonly worker: Worker;
  /** Records begun (a heartbeat), number of the file, line. */
  readonly progress: Int32Array;
}

export const maxHeapMegabytes = 8192;

export function startDataWorker(): DataWorker {
  const progress = new SharedArrayBuffer(12);
  const workerData: WorkerData = { progress };
  const worker = new Worker(workerUrl('data-worker.js'), {
    workerData,
    resourceLimits: { maxOldGenerationSizeMb: maxHeapMegabytes },
  });
  // Until somebody waits for it nothing does.
  worker.unref();
  return { worker, progress: new Int32Array(progress) };
}

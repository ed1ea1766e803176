/** The worker that goes through a part of a JSONL file: a bundle of its own, small, so that it starts in a few milliseconds. */

import { parentPort, workerData } from 'node:worker_threads';
import { failureOf } from '../failure.js';
import { yieldToOthers } from './background.js';
import { type SegmentTask, scanSegment } from './segment.js';

interface ScanData {
  readonly job: { readonly task: SegmentTask };
  /** See `progressSlots`. */
  readonly progress: SharedArrayBuffer;
}

if (parentPort !== null) {
  const { job, progress } = workerData as ScanData;
  // Somebody waits for the rows; nobody for the check of all of them.
  if (job.task.check) yieldToOthers();
  const slots = new Float64Array(progress);
  const { from, to } = job.task;
  try {
    const value = scanSegment(job.task, (at) => {
      slots[0] = (slots[0] ?? 0) + 1;
      slots[2] = (at - from) / Math.max(1, to - from);
    });
    parentPort.postMessage({ ok: true, value });
  } catch (error) {
    parentPort.postMessage({ ok: false, failure: failureOf(error) });
  }
}

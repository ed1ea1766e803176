/** The worker's side of a job: does it, and says how far it is. */

import type { MessagePort } from 'node:worker_threads';
import { failureOf } from '../failure.js';
import { analyse } from './analyse.js';
import { yieldToOthers } from './background.js';
import { countTokens } from './count-tokens.js';
import { filter } from './filter.js';
import type { Beat, Job } from './jobs.js';

export interface JobData {
  readonly job: Job;
  /** See `progressSlots`. */
  readonly progress: SharedArrayBuffer;
}

export async function serveJob(port: MessagePort, { job, progress }: JobData): Promise<void> {
  if (job.kind === 'analyse') yieldToOthers();
  const slots = new Float64Array(progress);
  const beat: Beat = {
    row: (row) => {
      slots[0] = (slots[0] ?? 0) + 1;
      slots[1] = row;
    },
    share: (share) => {
      slots[0] = (slots[0] ?? 0) + 1;
      slots[2] = share;
    },
  };
  try {
    port.postMessage({ ok: true, value: await run(job, beat) });
  } catch (error) {
    port.postMessage({ ok: false, failure: failureOf(error) });
  }
}

function run(job: Job, beat: Beat): unknown {
  switch (job.kind) {
    case 'analyse':
      return analyse(job.task, beat);
    case 'tokens':
      return countTokens(job.task, beat);
    case 'filter':
      return filter(job.task, beat);
  }
}

/** Threads that work on a whole data set give way to those that somebody waits for. */

import { platform, setPriority } from 'node:os';

const niceness = 10;

/** To be called in a worker. Linux has priorities of threads; elsewhere they are the process's, which is left as it is. */
export function yieldToOthers(): void {
  if (platform() !== 'linux') return;
  try {
    setPriority(niceness);
  } catch {
    // Where it is not allowed nothing is lost but time.
  }
}

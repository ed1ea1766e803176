/** Runs the cases from one number to another and says when it begins each, for a parent that knows when one hangs. */

import { fuzzCase } from './readers.js';

const [from, to, tables, folder] = process.argv.slice(2);
let worst = 0;
for (let i = Number(from); i < Number(to); i++) {
  process.send?.({ begin: i });
  try {
    const { outcome, milliseconds } = await fuzzCase(i, tables ?? '', folder ?? '');
    worst = Math.max(worst, milliseconds);
    process.send?.({ end: i, outcome, milliseconds, memory: process.memoryUsage.rss() });
  } catch (error) {
    process.send?.({ end: i, failure: error instanceof Error ? error.message : String(error) });
  }
}
process.disconnect?.();

/** How long a list of 5,000 runs takes: its names, all that it says of them, without a cache and with one; and whether it stays live. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { EventLog } from '../../src/runs/event-log.js';
import { acquireLock } from '../../src/runs/lock.js';
import { RunIndex } from '../../src/runs/run-index.js';
import { makeRuns, trainBody } from './make-runs.js';

const root = mkdtempSync(join(tmpdir(), 'sft-list-'));
const runs = makeRuns(root, { experiments: 50, runsEach: 100, points: Number(process.argv[2] ?? 200) });

interface Listing {
  /** Milliseconds until the names are there, and until all else is. */
  readonly names: number;
  readonly all: number;
  /** Longest time for which nothing else had its turn. */
  readonly blocked: number;
  /** Milliseconds of a processor: what is left of it where a machine is busy with other things. */
  readonly cpu: number;
  readonly index: RunIndex;
}

async function list(cache: string): Promise<Listing> {
  const delay = monitorEventLoopDelay({ resolution: 2 });
  await new Promise((resolve) => setTimeout(resolve, 50));
  delay.enable();
  await new Promise((resolve) => setTimeout(resolve, 20));
  delay.reset();
  const began = performance.now();
  const before = process.cpuUsage();
  // As the editor does it: lines, cut.
  const index = new RunIndex(
    cache
      .split('\n')
      .filter(Boolean)
      .map((line) => [line.slice(0, line.indexOf('\t')), line.slice(line.indexOf('\t') + 1)] as const),
  );
  let names: number | undefined;
  index.onChange(() => {
    if (names !== undefined) return;
    const count = index.experiments().reduce((sum, experiment) => sum + experiment.runs.length, 0);
    if (count === runs) names = performance.now() - began;
  });
  await index.setRoots([root]);
  const all = performance.now() - began;
  const { user, system } = process.cpuUsage(before);
  await new Promise((resolve) => setTimeout(resolve, 20));
  delay.disable();
  return { names: names ?? Number.NaN, all, blocked: delay.max / 1e6 - 2, cpu: (user + system) / 1000, index };
}

const rounded = ({ index: _, ...figures }: Listing) => figures;
const first = await list('');
const cache = Array.from(first.index.snapshot(), ([folder, text]) => `${folder}\t${text}\n`).join('');
first.index.close();
const cold = [await list(''), await list('')];
for (const { index } of cold) index.close();
const warm = [await list(cache), await list(cache), await list(cache)];
for (const { index } of warm.slice(1)) index.close();

// One of the 5,000 goes on: how long until the list says so?
const index = warm[0]?.index;
const folder = join(root, 'experiment-49', 'run-99');
const late: number[] = [];
if (index !== undefined) {
  const lock = await acquireLock(folder);
  index.touch(folder);
  const log = await EventLog.open(join(folder, 'events.jsonl'));
  for (let n = 1; n <= 5; n++) {
    const began = performance.now();
    log.append(trainBody(1000 + n));
    while (index.get(folder)?.step !== 1000 + n) await new Promise((resolve) => setTimeout(resolve, 5));
    late.push(performance.now() - began);
  }
  log.close();
  lock.release();
  index.close();
}
console.log(
  JSON.stringify({
    runs,
    cacheMegabytes: cache.length / 1e6,
    cold: [first, ...cold].map(rounded),
    warm: warm.map(rounded),
    liveAfterMs: late,
  }),
);
rmSync(root, { recursive: true, force: true });

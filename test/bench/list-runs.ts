/** How long a list of 5,000 runs takes: its names, all that it says of them, without a cache and with one; and whether it stays live. */

import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { RunCache } from '../../src/editor/runs/cache.js';
import { EventLog } from '../../src/runs/event-log.js';
import { acquireLock } from '../../src/runs/lock.js';
import { RunIndex } from '../../src/runs/run-index.js';
import { makeRuns, trainBody } from './make-runs.js';

const root = mkdtempSync(join(tmpdir(), 'sft-list-'));
const runs = makeRuns(root, { experiments: 50, runsEach: 100, points: Number(process.argv[2] ?? 200) });

interface Listing {
  /** Milliseconds from a window's opening until the names are there, and until states and best figures are. */
  readonly names: number;
  readonly all: number;
  /** Longest time for which nothing else had its turn. */
  readonly blocked: number;
  /** Milliseconds of a processor: what is left of it where a machine is busy with other things. */
  readonly cpu: number;
  readonly index: RunIndex;
}

/** @param cache of an earlier window, or of none */
async function list(cache: RunCache): Promise<Listing> {
  const delay = monitorEventLoopDelay({ resolution: 2 });
  await sleep(50);
  delay.enable();
  await sleep(20);
  delay.reset();
  const began = performance.now();
  const before = process.cpuUsage();
  const index = new RunIndex(await cache.read());
  let names: number | undefined;
  index.onChange(() => {
    if (names !== undefined) return;
    const count = index.experiments().reduce((sum, experiment) => sum + experiment.runs.length, 0);
    if (count === runs) names = performance.now() - began;
  });
  await index.setRoots([root]);
  const whole = index.experiments().flatMap((one) => one.runs.filter((run) => run.state === 'finished' && run.best));
  const all = performance.now() - began;
  if (whole.length !== runs) throw new Error(`${whole.length} runs of ${runs} were read`);
  const { user, system } = process.cpuUsage(before);
  await sleep(20);
  delay.disable();
  return { names: names ?? Number.NaN, all, blocked: delay.max / 1e6 - 2, cpu: (user + system) / 1000, index };
}

const rounded = ({ index: _, ...figures }: Listing) => figures;
const none = new RunCache(undefined);
const cache = new RunCache(join(root, '.cache'));
const cold = [await list(none), await list(none), await list(none)];
await cache.write(cold[0]?.index.snapshot() ?? []);
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
    while (index.get(folder)?.step !== 1000 + n) await sleep(5);
    late.push(performance.now() - began);
  }
  log.close();
  lock.release();
  index.close();
}
console.log(
  JSON.stringify({
    runs,
    cacheMegabytes: statSync(join(root, '.cache', 'runs.tsv')).size / 1e6,
    cold: cold.map(rounded),
    warm: warm.map(rounded),
    liveAfterMs: late,
  }),
);
rmSync(root, { recursive: true, force: true });

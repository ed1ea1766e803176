/**
 * What the extension host does with a flood of events: starts the trainer in a terminal, follows its log for a run panel, keeps its list
 * of runs live, and packs what is new for the page twenty times a second. How late its event loop becomes is what typing would feel.
 */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { panelRunOf } from '../../src/core/view/panel-runs.js';
import { RunRecord } from '../../src/core/view/run-record.js';
import { Launcher } from '../../src/launch/launcher.js';
import { EventFollower } from '../../src/runs/follow.js';
import { RunIndex } from '../../src/runs/run-index.js';
import { infoOf } from './make-runs.js';

const trainer = process.argv[2] ?? '';
const root = mkdtempSync(join(tmpdir(), 'sft-flood-'));
const folder = join(root, 'experiment-0', 'run-0');
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, 'run.json'), JSON.stringify(infoOf(0, 0)));

const index = new RunIndex();
await index.setRoots([root]);
const record = new RunRecord();
let seen = 0;
let lastSeq = -1;
let outOfOrder = 0;
let packed = 0;
let points: number | undefined;
const follower = new EventFollower(join(folder, 'events.jsonl'), ({ events }) => {
  for (const { seq } of events) {
    if (seq !== lastSeq + 1) outOfOrder++;
    lastSeq = seq;
    seen++;
  }
  const change = record.add(events);
  if (change.points !== undefined) points = Math.min(points ?? change.points, change.points);
});
const flush = setInterval(() => {
  const row = index.get(folder);
  if (points === undefined || row === undefined) return;
  packed += record.points.pack(points).byteLength + JSON.stringify(panelRunOf(row, record.history)).length;
  points = undefined;
}, 50);

const launcher = new Launcher({ node: process.execPath, program: trainer });
let messages = 0;
launcher.listen({
  onEvent: (_folder, event) => {
    messages++;
    if (event === undefined) follower.wake();
    else follower.offer(event);
  },
});
const delay = monitorEventLoopDelay({ resolution: 5 });
const before = process.cpuUsage();
delay.enable();
const began = performance.now();
const session = await launcher.resume(folder);
await session.exited;
const seconds = (performance.now() - began) / 1000;
delay.disable();
const cpu = process.cpuUsage(before);
const { events } = JSON.parse(readFileSync(join(folder, 'flood.json'), 'utf8'));
const ended = performance.now();
while (seen < events && performance.now() - ended < 60_000) await new Promise((resolve) => setTimeout(resolve, 10));
const behind = performance.now() - ended;
await index.refresh();

console.log(
  JSON.stringify({
    trainer: JSON.parse(readFileSync(join(folder, 'flood.json'), 'utf8')),
    host: {
      seconds,
      sent: events,
      seen,
      outOfOrder,
      messages,
      points: record.points.count,
      listed: index.get(folder)?.step,
      behindMs: behind,
      cpuShare: (cpu.user + cpu.system) / 1e6 / seconds,
      packedMegabytes: packed / 1e6,
      // The histogram's values hold the timer's own interval.
      lagMs: { mean: delay.mean / 1e6 - 5, p99: delay.percentile(99) / 1e6 - 5, max: delay.max / 1e6 - 5 },
    },
  }),
);
clearInterval(flush);
follower.close();
index.close();
rmSync(root, { recursive: true, force: true });

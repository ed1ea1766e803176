/**
 * What a trainer does with its events, and nothing else: `resume FOLDER`, as the launcher calls it, appends FLOOD_RATE events a second
 * for FLOOD_SECONDS to the log, and tells the editor of them. The last line of its console says how long that took it.
 */

import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { editorPty, Terminal } from '../../src/cli/terminal.js';
import { EventLog } from '../../src/runs/event-log.js';
import { acquireLock } from '../../src/runs/lock.js';
import { trainBody } from './make-runs.js';

const folder = process.argv[3] ?? '.';
const rate = Number(process.env.FLOOD_RATE ?? 10_000);
const count = rate * Number(process.env.FLOOD_SECONDS ?? 60);

process.on('SIGHUP', () => undefined);
const lock = await acquireLock(folder);
const log = await EventLog.open(join(folder, 'events.jsonl'));
const pty = editorPty();
const terminal = new Terminal({ stream: process.stdout, errors: process.stderr, quiet: false, pty });
/** Microseconds of each. */
const logging: number[] = [];
const telling: number[] = [];
terminal.announceRun(folder);
terminal.event(log.append({ type: 'status', status: 'started', step: 0, totalSteps: count, trainSeconds: 0 }));

const began = performance.now();
for (let step = 1; step <= count; ) {
  const due = Math.min(count, Math.floor(((performance.now() - began) / 1000) * rate));
  for (; step <= due; step++) {
    const start = performance.now();
    const event = log.append(trainBody(step));
    const logged = performance.now();
    terminal.event(event);
    logging.push(1000 * (logged - start));
    telling.push(1000 * (performance.now() - logged));
  }
  terminal.live([[`  ${step - 1}/${count}`]]);
  await sleep(5);
}
terminal.event(
  log.append({ type: 'status', status: 'finished', step: count, totalSteps: count, trainSeconds: count * 0.04 }),
);
log.close();
const seconds = (performance.now() - began) / 1000;
const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] ?? 0;
const report = {
  events: count + 2,
  seconds,
  logging: median(logging),
  telling: median(telling),
  // Most events are only noted; what costs is the message that stands for many.
  meanTelling: telling.reduce((sum, one) => sum + one, 0) / telling.length,
};
appendFileSync(join(folder, 'flood.json'), `${JSON.stringify(report)}\n`);
terminal.line(`Finished. ${count} events in ${seconds.toFixed(1)} s`);
terminal.closeLog();
lock.release();

/**
 * The sidebar with thousands of runs in real VS Code: how long until its rows are drawn, beside a view of as many rows with nothing
 * behind them; whether it holds up the extension host; how late a change is drawn; what it costs while nothing happens, and while
 * 20 runs are trained. SFT_LAB_TREE is `experiments x runs of each`, SFT_LAB_TREE_REPEATS how often the windows are opened.
 */

import { existsSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildSync } from 'esbuild';
import { expect, it } from 'vitest';
import { EventLog } from '../../src/runs/event-log.js';
import { acquireLock } from '../../src/runs/lock.js';
import { useLab } from '../e2e/harness/lab.js';
import { root } from '../e2e/harness/server.js';
import { makeRuns, trainBody } from './make-runs.js';
import { partsOf } from './profile.js';

const [experiments = 50, runsEach = 100] = (process.env.SFT_LAB_TREE ?? '50x100').split('x').map(Number);
const repeats = Number(process.env.SFT_LAB_TREE_REPEATS ?? 3);
const live = 20;
/** Nothing has changed for so long: what is there is all. */
const quietMs = 1500;
const watchedSeconds = 10;

const probe = (...name: string[]): string => join(lab().directory, 'extensions', 'sft-lab.probe-1.0.0', ...name);
const lab = useLab({
  fill: (folder) => {
    makeRuns(join(folder, '.sft'), { experiments, runsEach, points: 200 });
    // The newest stands first: what is trained is on the screen.
    utimesSync(join(folder, '.sft', 'experiment-0'), new Date(), new Date());
    const extension = join(folder, '..', 'extensions', 'sft-lab.probe-1.0.0');
    buildSync({
      ...{ absWorkingDir: root, entryPoints: ['test/bench/tree-probe.ts'], outfile: join(extension, 'probe.cjs') },
      ...{ bundle: true, platform: 'node', format: 'cjs', target: 'node20', external: ['vscode'], logLevel: 'error' },
    });
    writeFileSync(join(extension, 'size.json'), JSON.stringify({ experiments, runsEach }));
    const view = { id: 'sft-lab-probe.rows', name: 'Rows', icon: 'icon.svg' };
    const manifest = {
      ...{ name: 'probe', publisher: 'sft-lab', version: '1.0.0', main: './probe.cjs', activationEvents: ['*'] },
      engines: { vscode: '^1.101.0' },
      contributes: {
        viewsContainers: { activitybar: [{ id: 'sft-lab-probe', title: 'Peer', icon: 'icon.svg' }] },
        views: { 'sft-lab-probe': [view] },
      },
    };
    writeFileSync(join(extension, 'package.json'), JSON.stringify(manifest));
    writeFileSync(join(extension, 'icon.svg'), '<svg xmlns="http://www.w3.org/2000/svg"/>');
  },
});

/** What the sidebar's rows said, and from when on, in milliseconds since 1970; and when the mouse was last pressed. */
const recorder = `
  globalThis.drawings = [];
  globalThis.pressed = 0;
  const now = () => performance.timeOrigin + performance.now();
  addEventListener('pointerdown', () => { globalThis.pressed = now(); }, true);
  let last = '', due = false;
  const look = () => {
    due = false;
    const rows = [...document.querySelectorAll('.sidebar .monaco-list-row')];
    const text = rows.map((row) => row.textContent).join('\\n');
    if (text === last) return;
    last = text;
    // Painted by the next frame.
    requestAnimationFrame(() => globalThis.drawings.push({ at: now(), text }));
  };
  new MutationObserver(() => {
    if (!due) requestAnimationFrame(look);
    due = true;
  }).observe(document, { subtree: true, childList: true, characterData: true });
`;

interface Drawing {
  readonly at: number;
  readonly text: string;
}

const drawings = (): Promise<Drawing[]> => lab().page.evaluate('globalThis.drawings');

/** When rows with a text were first drawn, and when they changed for the last time. */
async function drawn(text: string): Promise<{ first: number; last: number }> {
  let found: Drawing[] = [];
  const settled = async (): Promise<boolean> => {
    found = (await drawings()).filter((one) => one.text.includes(text));
    return Date.now() - (found.at(-1)?.at ?? Date.now()) > quietMs;
  };
  await expect.poll(settled, { message: `no row with “${text}” is drawn` }).toBe(true);
  return { first: found[0]?.at ?? Number.NaN, last: found.at(-1)?.at ?? Number.NaN };
}

async function ask<T>(question: string): Promise<T> {
  const { port }: { port: number } = JSON.parse(readFileSync(probe('port'), 'utf8'));
  const answer = await fetch(`http://127.0.0.1:${port}/${question}`);
  return (await answer.json()) as T;
}

interface Usage {
  readonly seconds: number;
  readonly cpuMs: number;
  readonly p99: number;
  readonly most: number;
}

/** Lines of the logs of this window, the newest of those whose names end so. */
function logged(name: string, pattern: RegExp): { readonly at: number; readonly found: RegExpExecArray } {
  const logs = join(lab().directory, 'profile', 'logs');
  const lines = readdirSync(logs, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith(name))
    .flatMap((file) => readFileSync(join(logs, file), 'utf8').split('\n'))
    .flatMap((line) => {
      const found = pattern.exec(line);
      return found === null ? [] : [{ at: Date.parse(line.slice(0, 23)), found }];
    });
  const last = lines.sort((a, b) => a.at - b.at).at(-1);
  if (last === undefined) throw new Error(`no log has a line like ${pattern}`);
  return last;
}

/** When the window was last told to reload. */
let loadedAt = 0;

/** Reloads the window, with the sidebar that is in front now. */
async function reload(): Promise<void> {
  loadedAt = Date.now();
  rmSync(probe('port'), { force: true });
  await lab().reload();
  await expect.poll(() => existsSync(probe('port'))).toBe(true);
}

/** Waits until the window has read all runs, and has nothing more to do. */
async function idle(): Promise<void> {
  await expect.poll(() => logged('SFT Lab.log', / runs were read in /).at).toBeGreaterThan(loadedAt);
  await sleep(quietMs);
}

/** Milliseconds from the click to rows. */
async function opening(view: string, text: string): Promise<{ first: number; last: number }> {
  await ask('usage');
  await lab().page.evaluate('globalThis.drawings.length = 0');
  await lab().showView(view);
  const { first, last } = await drawn(text);
  const pressed: number = await lab().page.evaluate('globalThis.pressed');
  return { first: first - pressed, last: last - pressed };
}

const one = (value: number): string => value.toFixed(value < 10 ? 1 : 0);
const say = (what: string, values: readonly number[], unit = 'ms'): void =>
  console.log(`${what.padEnd(62)} ${values.map(one).join(', ')} ${unit}`);
const label = 'learning_rate=';

it(`${experiments} experiments of ${runsEach} runs`, async () => {
  await lab().page.addInitScript(recorder);
  const figures: Record<string, number[]> = {};
  const note = (what: string, value: number): void => {
    figures[what] ??= [];
    figures[what].push(value);
  };
  const bundle = readFileSync(join(root, 'build', 'extension', 'dist', 'extension.cjs'), 'utf8');
  const parts = async (): Promise<string> => {
    const all = Object.entries(partsOf(await ask('profiled'), bundle));
    return all.map(([part, ms]) => `${part} ${one(ms)}`).join(', ');
  };

  // The first window reads every log; the later ones find what it kept.
  await expect.poll(() => existsSync(probe('port'))).toBe(true);
  await idle();
  const usage = async (what: string): Promise<void> => {
    const { cpuMs, most } = await ask<Usage>('usage');
    note(`${what}: longest block`, most);
    note(`${what}: extension host`, cpuMs);
  };
  for (let n = 0; n < repeats; n++) {
    await lab().showView('SFT Lab');
    await reload();
    const ours = await drawn(label);
    await idle();
    const began = logged('remoteexthost.log', /_doActivateExtension sft-lab\.sft-lab/).at;
    note('activation → rows', ours.first - began);
    note('activation → rows as they stay', ours.last - began);
    note('of that, reading all runs', Number(logged('SFT Lab.log', / read in (\d+) ms/).found[1]));
    await usage('activation');
    const peerOpened = await opening('Peer', 'peer row');
    await usage('opening as many bare rows');

    await reload();
    const peer = await drawn('peer row');
    await idle();
    const peerBegan = logged('remoteexthost.log', /_doActivateExtension sft-lab\.probe/).at;
    note('activation → as many bare rows', peer.last - peerBegan);
    await usage('activation with bare rows');
    const opened = await opening('SFT Lab', label);
    note('opening the view → rows', opened.first);
    note('opening the view → rows as they stay', opened.last);
    await usage('opening the view');
    note('opening the view → as many bare rows', peerOpened.last);
  }
  for (const [what, values] of Object.entries(figures)) say(what, values);

  // Once more, to see where the time goes: looking takes time too.
  await lab().showView('SFT Lab');
  writeFileSync(probe('profile'), '');
  await reload();
  await drawn(label);
  await idle();
  console.log(`extension host, from its start to rows: ${await parts()} ms`);
  rmSync(probe('profile'));
  await lab().showView('Explorer');
  await reload();
  await idle();
  await ask('profile');
  await opening('SFT Lab', label);
  console.log(`extension host, opening the view: ${await parts()} ms`);

  await ask('usage');
  await sleep(1000 * watchedSeconds);
  const rest = await ask<Usage>('usage');
  say('at rest: processor time of a second', [rest.cpuMs / rest.seconds]);
  say('at rest: longest block', [rest.most]);
  await ask('profile');
  await sleep(1000 * watchedSeconds);
  console.log(`extension host, ${watchedSeconds} s at rest: ${await parts()} ms`);

  const folders = Array.from({ length: live }, (_, i) => lab().path('.sft', 'experiment-0', `run-${i}`));
  const logs: EventLog[] = [];
  const locks = await Promise.all(folders.map((folder) => acquireLock(folder)));
  for (const folder of folders) {
    const log = await EventLog.open(join(folder, 'events.jsonl'));
    log.append({ type: 'status', status: 'resumed', step: 0, totalSteps: 1000, trainSeconds: 0, pid: process.pid });
    logs.push(log);
  }
  const rowOf = (i: number, text: string): RegExp => new RegExp(`learning_rate=${i}e-5\\D*${text}`);
  /** Milliseconds after `since` at which a row first said so. */
  const late = async (i: number, text: string, since: number): Promise<number> => {
    const row = rowOf(i, text);
    let at: number | undefined;
    const said = async (): Promise<boolean> => {
      at = (await drawings()).find((one) => one.at > since && one.text.split('\n').some((line) => row.test(line)))?.at;
      return at !== undefined;
    };
    await expect.poll(said, { message: `no row is drawn like ${row}` }).toBe(true);
    return (at ?? Number.NaN) - since;
  };
  await late(1, '0 %', 0);
  await ask('usage');
  await lab().page.evaluate('globalThis.drawings.length = 0');
  /** When each step was written, by percent. */
  const written = new Map<number, number>();
  const train = async (seconds: number): Promise<void> => {
    for (const end = performance.now() + 1000 * seconds; performance.now() < end; ) {
      const percent = written.size + 1;
      written.set(percent, Date.now());
      for (const log of logs) log.append(trainBody(10 * percent));
      await sleep(430);
    }
  };
  await train(watchedSeconds);
  const busy = await ask<Usage>('usage');
  say(`${live} live: processor time of a second`, [busy.cpuMs / busy.seconds]);
  say(`${live} live: longest block`, [busy.most]);
  const all = await drawings();
  const delays = [...written].flatMap(([percent, since]) => {
    const row = rowOf(1, `${percent} %`);
    const found = all.find(({ at, text }) => at > since && text.split('\n').some((line) => row.test(line)));
    return found === undefined ? [] : [found.at - since];
  });
  say(`${live} live: a step is drawn after (${delays.length} of ${written.size} were)`, delays);

  await ask('profile');
  await train(watchedSeconds);
  console.log(`extension host, ${watchedSeconds} s with ${live} live: ${await parts()} ms`);

  const ends: number[] = [];
  for (let i = 0; i < 3; i++) {
    const since = Date.now();
    logs[i]?.append({ type: 'status', status: 'finished', step: 1000, totalSteps: 1000, trainSeconds: 40 });
    locks[i]?.release();
    ends.push(await late(i, 'loss', since));
  }
  say('a run’s end is drawn after', ends);
  await lab().shootOnce(`tree-${experiments}x${runsEach}`);
  for (const log of logs) log.close();
  for (const lock of locks) lock.release();
});

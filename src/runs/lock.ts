/**
 * The lock of a run: one process trains it. `run.lock` says who: process id and its start time (ids are used again), machine
 * boot, and a heartbeat by the monotonic clock (wall clocks jump). A lock whose process is gone is stale and taken over. Where the
 * system tells neither start time nor boot (macOS, Windows), the heartbeat stands for both.
 */

import { randomUUID } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { link, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, sep } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { codeOf, LabError } from '../core/errors.js';
import { move, patiently, writeError } from './files.js';
import { isAlive, type Machine, monotonicMs, processStart, thisMachine, unknownBoot } from './system.js';

const beatMs = 5_000;
/** A heartbeat older than this has stopped. */
const silenceMs = 30_000;

const lockSchema = z.object({
  v: z.literal(1),
  token: z.string(),
  pid: z.number().int().positive(),
  /** Clock ticks after boot at which the process started; null where the system does not tell. */
  processStart: z.string().nullable(),
  /** Identity of this boot of this machine, and of the process id's name space. */
  boot: z.string(),
  pidSpace: z.string(),
  host: z.string(),
  /** Milliseconds of the monotonic clock at the last heartbeat: comparable within one boot. */
  monotonic: z.number(),
  beats: z.number().int(),
});
export type LockContent = z.infer<typeof lockSchema>;

export interface RunLock {
  /** Aborts when another process took the lock away: stop writing at once. */
  readonly lost: AbortSignal;
  release(): void;
}

const lockName = 'run.lock';

/**
 * @param work what whoever has the lock is doing, for others to read: a comparison has a lock in the folder of its experiment
 * @throws LabError when a living process holds the lock
 */
export async function acquireLock(runDirectory: string, work = 'training this run'): Promise<RunLock> {
  const path = join(runDirectory, lockName);
  for (let attempt = 0; attempt < 5; attempt++) {
    const lock = await tryCreate(path);
    if (lock !== undefined) return lock;
    const holder = readLock(path);
    if (holder !== undefined && (await holds(path, holder))) {
      throw new LabError(`process ${holder.pid}${holder.host === hostname() ? '' : ` on ${holder.host}`} is ${work}`, {
        place: { file: runDirectory },
        advice: 'Wait for it, or stop it first (Ctrl+C in its terminal).',
      });
    }
    await removeStale(path, holder?.token);
  }
  throw new LabError('the lock of this run keeps changing hands', { place: { file: path } });
}

/** Who trains a run now, judged without waiting; undefined: nobody. */
export function lockHolder(runDirectory: string): LockContent | undefined {
  const path = `${runDirectory}${sep}${lockName}`;
  // Most runs have none, and a failed read takes ten times as long as this look.
  const content = existsSync(path) ? readLock(path) : undefined;
  if (content === undefined) return undefined;
  const verdict = judge(content);
  if (verdict !== 'unsure') return verdict === 'live' ? content : undefined;
  // Another machine's clock cannot be compared with ours; when the file was written can, roughly.
  try {
    return Date.now() - statSync(path).mtimeMs < silenceMs * 2 ? content : undefined;
  } catch {
    return undefined;
  }
}

async function holds(path: string, content: LockContent): Promise<boolean> {
  const verdict = judge(content);
  if (verdict !== 'unsure') return verdict === 'live';
  // Another machine, or one that slept: watch whether its heart beats, by our own clock.
  for (let waited = 0; waited < silenceMs; waited += beatMs / 2) {
    await sleep(beatMs / 2);
    const now = readLock(path);
    if (now === undefined) return false;
    if (now.token !== content.token || now.beats !== content.beats) return true;
  }
  return false;
}

/** `unsure`: on another machine (or another system of one, as Windows' own Linux), or alive by its process id, but silent. */
export type Verdict = 'live' | 'stale' | 'unsure';

/** Whether the process that wrote a lock lives. */
export function judge(content: LockContent, here = thisMachine()): Verdict {
  const silence = monotonicMs() - content.monotonic;
  if (content.boot !== here.boot) {
    const comparable = content.host === here.host && ![content.boot, here.boot].includes(unknownBoot);
    return comparable ? 'stale' : 'unsure';
  }
  if (here.boot === unknownBoot) return judgeByHeart(content, here, silence);
  if (content.pidSpace !== here.pidSpace) return silence < silenceMs ? 'live' : 'stale';
  if (!isAlive(content.pid)) return 'stale';
  const start = processStart(content.pid);
  if (start === null || content.processStart === null) return silence < silenceMs ? 'live' : 'stale';
  return start === content.processStart ? 'live' : 'stale';
}

function judgeByHeart({ host, pid }: LockContent, here: Machine, silence: number): Verdict {
  if (host !== here.host) return 'unsure';
  // The clock counts from the boot: a heartbeat that is still to come was in an earlier one.
  if (silence < -1_000 || !isAlive(pid)) return 'stale';
  // Its id is ours by now.
  if (pid === process.pid && silence > process.uptime() * 1000) return 'stale';
  return silence < silenceMs ? 'live' : 'unsure';
}

/** Whether the process id in a lock means a process that can be reached from here. */
export function isWithinReach({ host, boot, pidSpace }: LockContent): boolean {
  const here = thisMachine();
  return host === here.host && boot === here.boot && pidSpace === here.pidSpace;
}

async function tryCreate(path: string): Promise<RunLock | undefined> {
  const content: LockContent = {
    v: 1,
    token: randomUUID(),
    pid: process.pid,
    processStart: processStart(process.pid),
    ...thisMachine(),
    monotonic: monotonicMs(),
    beats: 0,
  };
  // Written beside and linked into place, so that nobody ever reads an empty lock.
  const temporary = `${path}.${content.token.slice(0, 8)}`;
  let file: number | undefined;
  try {
    file = openSync(temporary, 'wx+');
    writeContent(file, content);
    await patiently(() => link(temporary, path));
  } catch (error) {
    if (file !== undefined) closeSync(file);
    if (codeOf(error) === 'EEXIST') return undefined;
    throw writeError(error, path);
  } finally {
    await rm(temporary, { force: true }).catch(() => undefined);
  }
  return hold(path, file, content);
}

function hold(path: string, file: number, content: LockContent): RunLock {
  const lost = new AbortController();
  const owned = (): boolean => {
    try {
      // Whole: file ids of Windows have more bits than a number.
      return statSync(path, { bigint: true }).ino === fstatSync(file, { bigint: true }).ino;
    } catch {
      return false;
    }
  };
  let beats = 0;
  const timer = setInterval(() => {
    if (!owned()) {
      lost.abort(new LabError('another process took over this run', { place: { file: path } }));
      clearInterval(timer);
      return;
    }
    beats++;
    try {
      // Into the file we hold: if the name were taken over, this would not touch the other's lock.
      writeContent(file, { ...content, monotonic: monotonicMs(), beats });
    } catch {
      // A full disk stops heartbeats, not training; process id and start time still tell that we live.
    }
  }, beatMs);
  timer.unref();
  let released = false;
  return {
    lost: lost.signal,
    release() {
      if (released) return;
      released = true;
      clearInterval(timer);
      try {
        if (owned()) unlinkSync(path);
      } catch {
        // A lock that cannot be removed is stale as soon as this process ends.
      }
      closeSync(file);
    },
  };
}

/** Padded to one length: a heartbeat overwrites the last one whole. */
function writeContent(file: number, content: LockContent): void {
  const text = JSON.stringify(content).padEnd(500);
  writeSync(file, text, 0);
  ftruncateSync(file, Buffer.byteLength(text));
}

/** Moves a stale lock away; puts it back if it turns out to be somebody's fresh one. */
async function removeStale(path: string, token: string | undefined): Promise<void> {
  const moved = `${path}.stale-${randomUUID().slice(0, 8)}`;
  try {
    await move(path, moved);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw writeError(error, path);
  }
  try {
    if (readLock(moved)?.token !== token) await link(moved, path).catch(() => undefined);
  } finally {
    await rm(moved, { force: true });
  }
}

function readLock(path: string): LockContent | undefined {
  try {
    const parsed = lockSchema.safeParse(JSON.parse(readFileSync(path, 'utf8')));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** Waits until nobody trains a run, or the time is over. */
export async function waitForRelease(runDirectory: string, timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
  for (const end = monotonicMs() + timeoutMs; monotonicMs() < end; ) {
    if (lockHolder(runDirectory) === undefined) return true;
    await sleep(200, undefined, signal === undefined ? {} : { signal });
  }
  return lockHolder(runDirectory) === undefined;
}

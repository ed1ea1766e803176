import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { acquireLock, isWithinReach, judge, lockHolder, waitForRelease } from '../../../src/runs/lock.js';
import { monotonicMs, thisMachine, unknownBoot } from '../../../src/runs/system.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sft-lock-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const file = () => join(folder, 'run.lock');
/** Linux tells one boot, one process of an id and one name space of ids from another. */
const told = thisMachine().boot !== unknownBoot;
const rewrite = (changes: object) =>
  writeFileSync(file(), JSON.stringify({ ...JSON.parse(readFileSync(file(), 'utf8')), ...changes }));

describe('the run lock', () => {
  it('is held by one at a time and leaves nothing behind', async () => {
    const lock = await acquireLock(folder);
    expect(lockHolder(folder)?.pid).toBe(process.pid);
    await expect(acquireLock(folder)).rejects.toThrow(`process ${process.pid} is training this run`);
    lock.release();
    expect(lockHolder(folder)).toBeUndefined();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('goes to exactly one of many that want it at once', async () => {
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => acquireLock(folder)));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const result of results) if (result.status === 'fulfilled') result.value.release();
  });

  it('is taken over from a process that is gone', async () => {
    const child = spawn(process.execPath, ['-e', '']);
    await new Promise((resolve) => child.on('exit', resolve));
    (await acquireLock(folder)).release();
    const lock = await acquireLock(folder);
    rewrite({ pid: child.pid });
    expect(lockHolder(folder)).toBeUndefined();
    const second = await acquireLock(folder);
    lock.release();
    expect(lockHolder(folder)?.pid).toBe(process.pid);
    second.release();
    expect(readdirSync(folder)).toEqual([]);
  });

  it.runIf(told)('is not held by another process that got the same id', async () => {
    const lock = await acquireLock(folder);
    rewrite({ processStart: '1' });
    expect(lockHolder(folder)).toBeUndefined();
    lock.release();
  });

  it.runIf(told)('of an earlier boot of this machine is stale', async () => {
    const lock = await acquireLock(folder);
    rewrite({ boot: 'another' });
    expect(lockHolder(folder)).toBeUndefined();
    lock.release();
  });

  it.runIf(told)('of another container on this machine goes by its heartbeat', async () => {
    const lock = await acquireLock(folder);
    rewrite({ pidSpace: 'pid:[1]', pid: 999_999_999 });
    expect(lockHolder(folder)).toBeDefined();
    rewrite({ monotonic: 0 });
    expect(lockHolder(folder)).toBeUndefined();
    lock.release();
  });

  it('goes by process id and heartbeat where the system tells no more', async () => {
    const lock = await acquireLock(folder);
    const holder = lockHolder(folder);
    if (holder === undefined) throw new Error('nobody has it');
    const untold = { boot: unknownBoot, pidSpace: 'unknown' };
    const here = { ...thisMachine(), ...untold };
    const verdict = (changes: object) => judge({ ...holder, ...untold, processStart: null, ...changes }, here);
    expect(verdict({})).toBe('live');
    expect(verdict({ pid: 999_999_999 })).toBe('stale');
    // It slept, or another process got its id; we, for instance.
    expect(verdict({ pid: process.ppid, monotonic: monotonicMs() - 60_000 })).toBe('unsure');
    expect(verdict({ monotonic: monotonicMs() - process.uptime() * 1000 - 60_000 })).toBe('stale');
    // An earlier boot, whose clock had come further.
    expect(verdict({ monotonic: monotonicMs() + 60_000 })).toBe('stale');
    expect(verdict({ host: 'elsewhere' })).toBe('unsure');
    // Another system on this machine.
    expect(verdict({ boot: 'told' })).toBe('unsure');
    lock.release();
  });

  it('says whether its process can be reached from here', async () => {
    const lock = await acquireLock(folder);
    const holder = lockHolder(folder);
    if (holder === undefined) throw new Error('nobody has it');
    expect(isWithinReach(holder)).toBe(true);
    for (const change of [{ host: 'elsewhere' }, { boot: 'another' }, { pidSpace: 'pid:[1]' }]) {
      expect(isWithinReach({ ...holder, ...change })).toBe(false);
    }
    lock.release();
  });

  it('that is garbage holds nobody up', async () => {
    writeFileSync(file(), 'garbage');
    const lock = await acquireLock(folder);
    lock.release();
    expect(existsSync(file())).toBe(false);
  });

  it('is waited for', async () => {
    const lock = await acquireLock(folder);
    setTimeout(() => lock.release(), 50);
    expect(await waitForRelease(folder, 5_000)).toBe(true);
  });

  it('says there is no folder', async () => {
    await expect(acquireLock(join(folder, 'nowhere'))).rejects.toThrow('its folder does not exist');
  });
});

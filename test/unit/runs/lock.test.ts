import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { acquireLock, lockHolder, waitForRelease } from '../../../src/runs/lock.js';
import { processStart } from '../../../src/runs/system.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sft-lock-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const file = () => join(folder, 'run.lock');
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

  it('is not held by another process that got the same id', async () => {
    const lock = await acquireLock(folder);
    rewrite({ processStart: '1' });
    expect(lockHolder(folder)).toBeUndefined();
    lock.release();
  });

  it('of an earlier boot of this machine is stale', async () => {
    const lock = await acquireLock(folder);
    rewrite({ boot: 'another' });
    expect(lockHolder(folder)).toBeUndefined();
    lock.release();
  });

  it('of another container on this machine goes by its heartbeat', async () => {
    const lock = await acquireLock(folder);
    rewrite({ pidSpace: 'pid:[1]', pid: 999_999_999 });
    expect(lockHolder(folder)).toBeDefined();
    rewrite({ monotonic: 0 });
    expect(lockHolder(folder)).toBeUndefined();
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

  it('knows when a process started', () => {
    expect(processStart(process.pid)).toMatch(/^\d+$/);
    expect(processStart(999_999_999)).toBeNull();
  });
});

import { spawn } from 'node:child_process';
import { expect, it, vi } from 'vitest';
import {
  isAlive,
  monotonicMs,
  onStopRequest,
  processStart,
  requestStop,
  thisMachine,
  unknownBoot,
} from '../../../src/runs/system.js';

/** A process that has ended. */
async function ended(): Promise<number> {
  const child = spawn(process.execPath, ['-e', '']);
  await new Promise((resolve) => child.on('exit', resolve));
  if (child.pid === undefined) throw new Error('it did not start');
  return child.pid;
}

it('a process is asked to stop as often as somebody asks', async () => {
  const asked = vi.fn();
  const stopListening = onStopRequest(asked);
  for (const times of [1, 2]) {
    await requestStop(process.pid);
    await vi.waitFor(() => expect(asked).toHaveBeenCalledTimes(times));
  }
  stopListening();
  // And again, as each part of a longer work does.
  const stopAgain = onStopRequest(asked);
  await requestStop(process.pid);
  await vi.waitFor(() => expect(asked).toHaveBeenCalledTimes(3));
  stopAgain();
});

it('one that has ended cannot be asked', async () => {
  await expect(requestStop(await ended())).rejects.toMatchObject({ code: 'ESRCH' });
});

it('a process is alive until it has ended', async () => {
  expect(isAlive(process.pid)).toBe(true);
  expect(isAlive(await ended())).toBe(false);
});

it('processes share a clock', async () => {
  const before = monotonicMs();
  const child = spawn(process.execPath, ['-p', 'process.hrtime.bigint() / 1000000n']);
  let text = '';
  child.stdout.on('data', (piece) => {
    text += piece;
  });
  await new Promise((resolve) => child.on('close', resolve));
  const theirs = Number.parseInt(text, 10);
  expect(theirs).toBeGreaterThanOrEqual(before);
  expect(theirs).toBeLessThanOrEqual(monotonicMs() + 1);
});

it.runIf(thisMachine().boot !== unknownBoot)('it is known when a process started', () => {
  expect(processStart(process.pid)).toMatch(/^\d+$/);
  expect(processStart(999_999_999)).toBeNull();
});

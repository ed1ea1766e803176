/**
 * In what systems differ that matters to runs: how a process is known, and how it is asked to end.
 *
 * POSIX has signals. Windows has none between processes (`process.kill` ends the other at once, whatever the signal), so each process
 * that can be asked to stop listens at a named pipe, and who writes to it has asked: its owner may, others may only open it.
 */

import { readFileSync, readlinkSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf } from '../core/errors.js';

export const onWindows = process.platform === 'win32';
const onLinux = process.platform === 'linux';

/** Where the system does not tell one boot from another. */
export const unknownBoot = 'unknown';

export interface Machine {
  /** Identity of this boot of this machine. */
  readonly boot: string;
  /** Of the process id's name space. */
  readonly pidSpace: string;
  readonly host: string;
}

export function thisMachine(): Machine {
  return {
    boot: proc('sys/kernel/random/boot_id') ?? unknownBoot,
    pidSpace: pidSpace() ?? 'unknown',
    host: hostname(),
  };
}

/**
 * Milliseconds of a clock that never jumps, and that all processes of a boot share: libuv reads CLOCK_MONOTONIC on Linux,
 * mach_continuous_time on macOS and QueryPerformanceCounter on Windows, which all count from the boot.
 */
export function monotonicMs(): number {
  return Math.round(Number(process.hrtime.bigint() / 1_000_000n));
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
  // A zombie has ended; only its parent has not noticed yet.
  return statFields(pid)?.[0] !== 'Z';
}

/** Clock ticks after boot at which a process started (field 22 of /proc/PID/stat); null where the system does not tell. */
export function processStart(pid: number): string | null {
  return statFields(pid)?.[19] ?? null;
}

/** Fields of /proc/PID/stat after the command's name, which may hold spaces and brackets. */
function statFields(pid: number): string[] | undefined {
  const stat = proc(`${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function proc(name: string): string | undefined {
  if (!onLinux) return undefined;
  try {
    return readFileSync(`/proc/${name}`, 'utf8').trim();
  } catch {
    return undefined;
  }
}

function pidSpace(): string | undefined {
  if (!onLinux) return undefined;
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return undefined;
  }
}

/** How long a process that has just been started may take to listen. */
const patienceMs = 5_000;

/**
 * Asks a process to stop, as Ctrl+C in its terminal does.
 *
 * @throws what the system says: `ESRCH` where there is no such process, or none that listens; `EPERM` where it is somebody else's
 */
export async function requestStop(pid: number): Promise<void> {
  if (!onWindows) {
    process.kill(pid, 'SIGINT');
    return;
  }
  for (const end = monotonicMs() + patienceMs; ; await sleep(50)) {
    try {
      await writeStop(pid);
      return;
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
      if (!isAlive(pid) || monotonicMs() > end) {
        throw Object.assign(new Error(`process ${pid} does not listen`, { cause: error }), { code: 'ESRCH' });
      }
    }
  }
}

/**
 * Calls `request` whenever this process is asked to stop. A terminal that hangs up asks nothing, except on Windows, where its end is
 * this process's a few seconds later.
 *
 * @returns what ends the listening
 */
export function onStopRequest(request: () => void): () => void {
  const ignore = (): void => undefined;
  // In a console of Windows, Ctrl+C reaches every process; one that another started (by a channel) is asked by that one.
  const inConsole = process.channel === undefined ? request : ignore;
  const handlers: readonly (readonly [NodeJS.Signals, () => void])[] = onWindows
    ? [
        ['SIGINT', inConsole],
        ['SIGBREAK', inConsole],
        ['SIGHUP', inConsole],
      ]
    : [
        ['SIGINT', request],
        ['SIGTERM', request],
        ['SIGHUP', ignore],
      ];
  for (const [signal, handler] of handlers) process.on(signal, handler);
  const closePipe = onWindows ? listenAtPipe(request) : ignore;
  return () => {
    for (const [signal, handler] of handlers) process.off(signal, handler);
    closePipe();
  };
}

function pipeOf(pid: number): string {
  return String.raw`\\.\pipe\sft-lab-stop-${pid}`;
}

function writeStop(pid: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(pipeOf(pid));
    socket.on('error', reject);
    socket.end('stop', resolve);
  });
}

function listenAtPipe(request: () => void): () => void {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => {
      socket.destroy();
      request();
    });
  });
  // Without a pipe it can still be stopped in its console.
  server.on('error', () => undefined);
  server.listen(pipeOf(process.pid)).unref();
  return () => server.close();
}

/** Runs this program again, as a child that shares the terminal. */

import { spawn } from 'node:child_process';
import { onWindows, requestStop } from '../runs/system.js';

interface ChildOptions {
  /** Send the child's standard output to the error stream. */
  readonly toErrorStream: boolean;
  /** Aborted: the child is asked to stop, as by Ctrl+C. */
  readonly stop: AbortSignal;
  /** Receives a function that ends the child at once. */
  readonly onKill: (kill: () => void) => void;
}

/** @returns the exit code; 128 + n for signal n */
export async function runInChild(
  args: readonly string[],
  { toErrorStream, stop, onKill }: ChildOptions,
): Promise<number> {
  const script = process.argv[1];
  if (script === undefined) throw new Error('the program does not know its own file');
  // A process group of its own: Ctrl+C reaches the child through us, once, and not from the terminal as well. The channel
  // tells it when we are gone. In a console of Windows it could not write then: there it leaves Ctrl+C to us, and ends with us.
  const inConsole = onWindows && (process.stdout.isTTY || process.stderr.isTTY);
  const child = spawn(process.execPath, [...process.execArgv, script, ...args], {
    stdio: ['ignore', toErrorStream ? 2 : 'inherit', 'inherit', 'ipc'],
    detached: !inConsole,
    windowsHide: true,
  });
  const interrupt = (): void => {
    // It may have ended in this moment.
    if (child.pid !== undefined) requestStop(child.pid).catch(() => undefined);
  };
  if (stop.aborted) interrupt();
  stop.addEventListener('abort', interrupt);
  onKill(() => {
    child.kill('SIGKILL');
  });
  try {
    return await new Promise<number>((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', (code, signal) => resolve(code ?? 128 + signalNumber(signal)));
    });
  } finally {
    stop.removeEventListener('abort', interrupt);
  }
}

function signalNumber(signal: NodeJS.Signals | null): number {
  const numbers: Partial<Record<NodeJS.Signals, number>> = {
    SIGILL: 4,
    SIGABRT: 6,
    SIGBUS: 7,
    SIGFPE: 8,
    SIGKILL: 9,
    SIGSEGV: 11,
    SIGTERM: 15,
  };
  return signal === null ? 0 : (numbers[signal] ?? 0);
}

/**
 * A trainer's process and its screen, such that it outlives the editor: in a pseudo-terminal, whose hang-up it ignores. On Windows the
 * end of a console is the end of its processes; there it has none, and draws its screen into a named pipe.
 */

import { spawn as spawnPiped } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:net';
import type { Readable } from 'node:stream';
import { spawn } from 'node-pty';
import { LabError } from '../core/errors.js';
import { messagesVariable } from '../core/messages-variable.js';
import { onWindows } from '../runs/system.js';

export interface ProcessOptions {
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly columns: number;
  readonly rows: number;
}

export interface TrainerProcess {
  readonly pid: number;
  /** @param listener takes text for a terminal */
  onData(listener: (text: string) => void): void;
  /** @param listener takes the exit code; 128 + n for signal n */
  onExit(listener: (code: number) => void): void;
  resize(columns: number, rows: number): void;
}

/** @throws LabError where it cannot be started */
export function startTrainer(options: ProcessOptions): TrainerProcess {
  return onWindows ? startPiped(options) : startInTerminal(options);
}

function startInTerminal({ file, args, cwd, env, columns, rows }: ProcessOptions): TrainerProcess {
  const pty = spawn(file, [...args], { name: 'xterm-256color', cols: columns, rows, cwd, env });
  return {
    pid: pty.pid,
    onData: (listener) => pty.onData(listener),
    onExit: (listener) => {
      pty.onExit(({ exitCode, signal }) => listener(signal === undefined || signal === 0 ? exitCode : 128 + signal));
    },
    resize: (width, height) => pty.resize(width, height),
  };
}

function startPiped({ file, args, cwd, env }: ProcessOptions): TrainerProcess {
  const screen = String.raw`\\.\pipe\sft-lab-screen-${randomUUID()}`;
  const listeners: ((text: string) => void)[] = [];
  const take = (stream: Readable): void => {
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => {
      for (const listener of listeners) listener(text.replaceAll('\n', '\r\n'));
    });
    stream.on('error', () => undefined);
  };
  const server = createServer(take).listen(screen);
  // Without its screen a run is still to be followed.
  server.on('error', () => undefined);
  const child = spawnPiped(file, args, {
    cwd,
    env: { ...env, [messagesVariable]: screen },
    detached: true,
    windowsHide: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.on('error', () => undefined);
  const { pid } = child;
  if (pid === undefined) {
    server.close();
    throw new LabError('cannot be started', { place: { file } });
  }
  // What does not go to the screen: the words of a crash.
  take(child.stdout);
  take(child.stderr);
  return {
    pid,
    onData: (listener) => listeners.push(listener),
    onExit: (listener) => {
      // When all that it drew has been read.
      child.on('close', (code) => server.close(() => listener(code ?? 1)));
    },
    // It draws for 80 columns.
    resize: () => undefined,
  };
}

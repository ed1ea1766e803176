/**
 * The screen of a trainer that an editor started: its terminal, or a named pipe of Windows. An editor that hangs reads nothing, and
 * Node waits for a terminal that takes nothing; a run must not. So what is not taken at once is kept for a while, and dropped beyond
 * that: `console.log` and the event log have it.
 */

import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { connect } from 'node:net';
import type { Writable } from 'node:stream';
import { codeOf } from '../core/errors.js';
import { onWindows } from '../runs/system.js';

const mostKept = 1 << 20;
const retryMs = 20;
const patienceMs = 2000;

export interface EditorStream {
  /** Whether the editor is behind: what is drawn anew anyway need not be drawn now. */
  readonly behind: boolean;
  write(text: string): void;
}

const pipes = String.raw`\\.\pipe`;

/** @param screen what the editor said of it (`messagesVariable`) */
export function openEditorStream(screen: string): EditorStream | undefined {
  // Standard output would not do: Node makes pipes wait there.
  if (onWindows) return screen.startsWith(pipes) ? new QueueStream(connect(screen).unref()) : undefined;
  if (screen !== '1' || !process.stdout.isTTY) return undefined;
  return PtyStream.open() ?? new QueueStream(process.stdout);
}

/** A stream that queues what is not taken; the process stays until it is, or the editor is gone. */
class QueueStream implements EditorStream {
  private gone = false;

  constructor(private readonly stream: Writable) {
    stream.on('error', () => {
      this.gone = true;
    });
  }

  get behind(): boolean {
    return this.stream.writableLength > 0;
  }

  write(text: string): void {
    if (!this.gone && this.stream.writableLength <= mostKept) this.stream.write(text);
  }
}

/** Where a process finds its terminal: on Linux, on macOS. */
const terminalNames = ['/proc/self/fd/1', '/dev/tty'];

/** The terminal opened a second time, to be written to without waiting. */
class PtyStream implements EditorStream {
  private waiting: Buffer[] = [];
  private bytes = 0;
  private takenAt = performance.now();
  private timer: NodeJS.Timeout | undefined;
  private file: number | undefined;

  private constructor(file: number) {
    this.file = file;
  }

  /** Undefined where the terminal cannot be opened a second time. */
  static open(): PtyStream | undefined {
    for (const name of terminalNames) {
      try {
        return new PtyStream(openSync(name, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY));
      } catch {
        // The next one.
      }
    }
    return undefined;
  }

  get behind(): boolean {
    return this.bytes > 0;
  }

  write(text: string): void {
    if (this.file === undefined || this.bytes > mostKept) return;
    const bytes = Buffer.from(text);
    this.waiting.push(bytes);
    this.bytes += bytes.length;
    this.drain();
  }

  private drain(): void {
    clearTimeout(this.timer);
    for (let first = this.waiting[0]; first !== undefined && this.file !== undefined; first = this.waiting[0]) {
      let written: number;
      try {
        written = writeSync(this.file, first);
      } catch (error) {
        // Anything else: the editor is gone.
        if (codeOf(error) === 'EAGAIN') this.later();
        else this.leave();
        return;
      }
      this.takenAt = performance.now();
      this.bytes -= written;
      if (written === first.length) this.waiting.shift();
      else this.waiting[0] = first.subarray(written);
    }
  }

  private later(): void {
    this.timer = setTimeout(() => this.drain(), retryMs);
    // The last words are waited for; a reader that takes nothing is no reason to stay.
    if (performance.now() - this.takenAt > patienceMs) this.timer.unref();
  }

  private leave(): void {
    if (this.file !== undefined) closeSync(this.file);
    this.file = undefined;
    this.waiting = [];
  }
}

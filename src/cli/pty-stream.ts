/**
 * The standard output of a trainer that an editor started. An editor that hangs reads nothing, and Node waits for a terminal
 * that takes nothing; a run must not. So what the terminal does not take at once is kept for a while, and dropped beyond that:
 * `console.log` and the event log have it.
 */

import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { codeOf } from '../runs/files.js';

const mostKept = 1 << 20;
const retryMs = 20;
const patienceMs = 2000;

export class PtyStream {
  private waiting: Buffer[] = [];
  private bytes = 0;
  private takenAt = performance.now();
  private timer: NodeJS.Timeout | undefined;
  private file: number | undefined;

  private constructor(file: number) {
    this.file = file;
  }

  /** Undefined where the terminal cannot be opened a second time; its ordinary stream does then. */
  static open(): PtyStream | undefined {
    if (process.platform !== 'linux') return undefined;
    try {
      return new PtyStream(openSync('/proc/self/fd/1', constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY));
    } catch {
      return undefined;
    }
  }

  /** Whether the terminal is behind: what is drawn anew anyway need not be drawn now. */
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

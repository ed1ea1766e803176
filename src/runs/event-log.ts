/** `events.jsonl`: append-only, one event a line; the truth about a run. */

import { closeSync, existsSync, fdatasyncSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf } from '../core/errors.js';
import { type EventBody, formatEvent, parseEvent, type RunEvent } from '../core/events.js';
import { writeError } from './files.js';
import { monotonicMs } from './system.js';

/** Train events reach the disk itself at most this late; all others at once. */
const syncMs = 5_000;

export class EventLog {
  private readonly file: number;
  private size: number;
  private seq: number;
  private syncedAt = monotonicMs();

  private constructor(
    private readonly path: string,
    file: number,
    size: number,
    seq: number,
  ) {
    this.file = file;
    this.size = size;
    this.seq = seq;
  }

  /** Opens a log to append to; numbers go on after the last one in it. */
  static async open(path: string): Promise<EventLog> {
    const { lastSeq } = existsSync(path) ? await readEvents(path) : { lastSeq: -1 };
    try {
      const file = openSync(path, 'a+');
      const log = new EventLog(path, file, fstatSync(file).size, lastSeq + 1);
      // What a killed process left of its last line stands alone, for readers to skip.
      if (log.size > 0 && lastByte(file, log.size) !== 0x0a) log.write('\n');
      return log;
    } catch (error) {
      throw writeError(error, path);
    }
  }

  append(body: EventBody): RunEvent {
    const { event, line } = formatEvent(body, this.seq, new Date());
    this.write(line);
    this.seq++;
    if (body.type !== 'train' || monotonicMs() - this.syncedAt > syncMs) this.sync();
    return event;
  }

  close(): void {
    try {
      this.sync();
    } finally {
      closeSync(this.file);
    }
  }

  private sync(): void {
    try {
      fdatasyncSync(this.file);
      this.syncedAt = monotonicMs();
    } catch (error) {
      throw writeError(error, this.path);
    }
  }

  private write(text: string): void {
    const bytes = Buffer.from(text);
    let written = 0;
    try {
      while (written < bytes.length) written += writeSync(this.file, bytes, written);
      this.size += bytes.length;
    } catch (error) {
      try {
        // Half a line is worse than none.
        ftruncateSync(this.file, this.size);
      } catch {
        // Readers skip a torn line.
      }
      throw writeError(error, this.path);
    }
  }
}

function lastByte(file: number, size: number): number | undefined {
  const byte = Buffer.alloc(1);
  readSync(file, byte, 0, 1, size - 1);
  return byte[0];
}

export interface EventFile {
  readonly events: RunEvent[];
  /** Lines that are no events: torn by a kill, damaged, or of a newer version. A torn last line counts. */
  readonly skipped: number;
  readonly lastSeq: number;
}

/** Everything in a log now. A missing file has no events. */
export async function readEvents(path: string): Promise<EventFile> {
  const reader = new EventReader(path);
  const events = await reader.poll();
  // A last line that lacks no more than its end is an event all the same.
  const unended = reader.pending === '' ? undefined : parseEvent(reader.pending);
  if (unended !== undefined) events.push(unended);
  const lastSeq = events.reduce((last, { seq }) => Math.max(last, seq), -1);
  const torn = reader.pending !== '' && unended === undefined ? 1 : 0;
  return { events, skipped: reader.skipped + torn, lastSeq };
}

/** Bytes read at a time: some milliseconds of parsing, between which others get their turn. */
const chunkBytes = 256 * 1024;

/** Reads what was appended since the last call; keeps an unfinished last line for the next. */
export class EventReader {
  skipped = 0;
  /** How often the log was replaced by another: what was read before is void then. */
  restarts = 0;
  private offset = 0;
  private inode: number | undefined;
  private rest: Buffer = Buffer.alloc(0);

  constructor(private readonly path: string) {}

  /** The last line, as far as it goes, while its end has not been read. */
  get pending(): string {
    return this.rest.toString('utf8');
  }

  async poll(): Promise<RunEvent[]> {
    const events: RunEvent[] = [];
    for await (const chunk of this.chunks()) events.push(...chunk);
    return events;
  }

  /** As `poll`, a part of the file at a time. */
  async *chunks(): AsyncGenerator<RunEvent[]> {
    let handle: Awaited<ReturnType<typeof open>>;
    try {
      handle = await open(this.path, 'r');
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return;
      throw error;
    }
    try {
      const { size, ino } = await handle.stat();
      const replaced = this.inode !== undefined && ino !== this.inode;
      if (replaced || size < this.offset - this.rest.length) {
        this.offset = 0;
        this.rest = Buffer.alloc(0);
        this.restarts++;
      } else if (size < this.offset) {
        // A full disk: its writer took half a line back.
        this.offset -= this.rest.length;
        this.rest = Buffer.alloc(0);
      }
      this.inode = ino;
      if (size === this.offset) return;
      const chunk = Buffer.allocUnsafe(Math.min(chunkBytes, size - this.offset));
      for (;;) {
        const { bytesRead } = await handle.read(chunk, 0, chunk.length, this.offset);
        if (bytesRead === 0) return;
        this.offset += bytesRead;
        yield this.take(Buffer.concat([this.rest, chunk.subarray(0, bytesRead)]));
      }
    } finally {
      await handle.close();
    }
  }

  private take(bytes: Buffer): RunEvent[] {
    const events: RunEvent[] = [];
    let start = 0;
    for (let end = bytes.indexOf(0x0a); end !== -1; end = bytes.indexOf(0x0a, start)) {
      const line = bytes.toString('utf8', start, end);
      start = end + 1;
      if (line.trim() === '') continue;
      const event = parseEvent(line);
      if (event === undefined) this.skipped++;
      else events.push(event);
    }
    this.rest = bytes.subarray(start);
    return events;
  }
}

/** Follows a log: yields what is there, then what is appended, in batches, until the signal aborts. */
export async function* tailEvents(path: string, signal: AbortSignal, intervalMs = 250): AsyncGenerator<RunEvent[]> {
  const reader = new EventReader(path);
  let lastSeq = -1;
  while (!signal.aborted) {
    const fresh = (await reader.poll()).filter(({ seq }) => seq > lastSeq);
    lastSeq = fresh.at(-1)?.seq ?? lastSeq;
    if (fresh.length > 0) yield fresh;
    await sleep(intervalMs, undefined, { signal }).catch(() => undefined);
  }
}

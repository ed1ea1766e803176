/**
 * Following a run's events: everything from its log, then what is appended, in batches, each event once and in order.
 *
 * Events that arrive sooner by another way (the trainer's terminal) may be offered, and are passed on when nothing is missing before them.
 */

import type { RunEvent } from '../core/events.js';
import { EventReader } from './event-log.js';
import { FileWake } from './wake.js';

export interface EventBatch {
  /** In order of their numbers, each once. */
  readonly events: readonly RunEvent[];
  /** Whether that is all there is for now; false while the log's past is being read. */
  readonly caughtUp: boolean;
  /** The log was replaced by another: what came before is void. */
  readonly restarted: boolean;
}

export interface FollowOptions {
  /** Milliseconds between looks at the file when nothing wakes us. */
  readonly pollMs?: number;
  /** Least milliseconds between two reads: what arrives in between comes as one batch. */
  readonly gatherMs?: number;
  /** What went wrong while reading; following goes on. */
  readonly onError?: (error: unknown) => void;
}

export class EventFollower {
  private readonly reader: EventReader;
  private readonly watch: FileWake;
  private wakeTimer: NodeJS.Timeout | undefined;
  private reading = false;
  private dirty = false;
  private closed = false;
  private caughtUp = false;
  private lastSeq = -1;
  private restarts = 0;
  private readAt = 0;

  constructor(
    path: string,
    private readonly listener: (batch: EventBatch) => void,
    private readonly options: FollowOptions = {},
  ) {
    this.reader = new EventReader(path);
    this.watch = new FileWake(path, () => this.wake(), options.pollMs);
    void this.read();
  }

  /** Looks at the file soon. */
  wake(): void {
    if (this.closed || this.wakeTimer !== undefined) return;
    const wait = Math.max(0, this.readAt + (this.options.gatherMs ?? 30) - performance.now());
    this.wakeTimer = setTimeout(() => {
      this.wakeTimer = undefined;
      void this.read();
    }, wait);
  }

  /** An event that came by a faster way than the file, where it already stands. */
  offer(event: RunEvent): void {
    if (this.closed || event.seq <= this.lastSeq) return;
    if (!this.caughtUp || this.reading || event.seq !== this.lastSeq + 1) {
      this.wake();
      return;
    }
    this.lastSeq = event.seq;
    this.deliver([event], true, false);
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.wakeTimer);
    this.watch.close();
  }

  private async read(): Promise<void> {
    if (this.reading || this.closed) {
      this.dirty = true;
      return;
    }
    this.reading = true;
    try {
      do {
        this.dirty = false;
        // One batch late, so that the last one can say that it is the last.
        let held: RunEvent[] | undefined;
        for await (const chunk of this.reader.chunks()) {
          if (this.closed) return;
          if (held !== undefined) this.pass(held, false);
          held = chunk;
        }
        if (this.closed) return;
        if (held !== undefined || !this.caughtUp) this.pass(held ?? [], true);
        this.caughtUp = true;
      } while (this.dirty);
    } catch (error) {
      this.options.onError?.(error);
    } finally {
      this.reading = false;
      this.readAt = performance.now();
    }
  }

  private pass(chunk: readonly RunEvent[], caughtUp: boolean): void {
    const restarted = this.reader.restarts !== this.restarts;
    if (restarted) this.lastSeq = -1;
    this.restarts = this.reader.restarts;
    const events: RunEvent[] = [];
    for (const event of chunk) {
      if (event.seq <= this.lastSeq) continue;
      this.lastSeq = event.seq;
      events.push(event);
    }
    if (events.length > 0 || restarted || (caughtUp && !this.caughtUp)) this.deliver(events, caughtUp, restarted);
  }

  private deliver(events: readonly RunEvent[], caughtUp: boolean, restarted: boolean): void {
    try {
      this.listener({ events, caughtUp, restarted });
    } catch (error) {
      this.options.onError?.(error);
    }
  }
}

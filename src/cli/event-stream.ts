/**
 * The events of a run, told to the editor through its terminal as they are logged: at once, as long as they come slowly. Faster
 * ones are only announced, all together and four times a second at most; the editor reads them from the log, many at a time. So it
 * costs a trainer the same small share of its time however fast its steps are, and a flood of events is no flood for the editor.
 */

import type { RunEvent } from '../core/events.js';
import { formatMessage } from '../core/terminal-messages.js';

/** Least milliseconds between two messages. */
const gapMs = 250;

export class EventStream {
  private sentAt = Number.NEGATIVE_INFINITY;
  /** The last event that was only kept for an announcement. */
  private announced: number | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly send: (text: string) => void) {}

  /** An event that stands in the log. */
  tell(event: RunEvent): void {
    const wait = this.sentAt + gapMs - performance.now();
    if (this.timer === undefined && wait <= 0) {
      this.sentAt = performance.now();
      this.send(formatMessage({ type: 'event', event }));
      return;
    }
    this.announced = event.seq;
    if (this.timer !== undefined) return;
    this.timer = setTimeout(() => this.flush(), wait);
    this.timer.unref();
  }

  /** Announces what waits. */
  flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.announced === undefined) return;
    this.sentAt = performance.now();
    this.send(formatMessage({ type: 'logged', seq: this.announced }));
    this.announced = undefined;
  }
}

/**
 * The events of a run, told to the editor through its terminal as they are logged: at once, as long as they come slowly. Faster
 * ones are only announced, all together and twice a second at most; the editor reads them from the log, many at a time. So it
 * costs a trainer the same small share of its time however fast its steps are, and a flood of events is no flood for the editor.
 * There is no timer that would take the processor from a step: what comes last before a pause is read from the log, which the
 * editor watches beside it.
 */

import type { RunEvent } from '../core/events.js';
import { formatMessage } from '../core/terminal-messages.js';

/** Least milliseconds between two messages. */
const gapMs = 500;

export class EventStream {
  private sentAt = Number.NEGATIVE_INFINITY;
  /** The last event that was not told. */
  private untold: number | undefined;

  constructor(private readonly send: (text: string) => void) {}

  /** An event that stands in the log. */
  tell(event: RunEvent): void {
    const now = performance.now();
    const complete = this.untold === undefined;
    this.untold = event.seq;
    if (now - this.sentAt < gapMs) return;
    if (!complete) {
      this.flush();
      return;
    }
    this.untold = undefined;
    this.sentAt = now;
    this.send(formatMessage({ type: 'event', event }));
  }

  /** Announces what was not told. */
  flush(): void {
    if (this.untold === undefined) return;
    this.sentAt = performance.now();
    this.send(formatMessage({ type: 'logged', seq: this.untold }));
    this.untold = undefined;
  }
}

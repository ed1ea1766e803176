/** A run's events folded for the run panel: training points as columns, so that a million of them fit; all else as history. */

import type { RunEvent } from '../events.js';
import { emptyHistory, foldEvent, type RunHistory } from '../history.js';
import { PointColumns } from './columns.js';

export interface RecordChange {
  /** Index of the first point that is new or gone; undefined: the points are as they were. */
  readonly points: number | undefined;
  /** Whether anything but points changed. */
  readonly facts: boolean;
}

export class RunRecord {
  readonly points = new PointColumns();
  /** Of the training points it holds the last one alone; samples and per-example losses are left out. */
  history: RunHistory = emptyHistory();

  add(events: readonly RunEvent[]): RecordChange {
    let points: number | undefined;
    let facts = false;
    const touch = (from: number): void => {
      points = points === undefined ? from : Math.min(points, from);
    };
    for (const event of events) {
      if (event.seq <= this.history.lastSeq) continue;
      switch (event.type) {
        case 'train':
          touch(this.points.count);
          this.points.append(event);
          this.history.train = [event];
          this.history.lastSeq = event.seq;
          break;
        case 'sample':
        case 'examples':
          this.history.lastSeq = event.seq;
          break;
        default: {
          facts = true;
          const before = this.points.count;
          // What an earlier attempt logged behind the place where this one began is void.
          if (event.type === 'status' && event.status === 'started') this.points.cut(0);
          if (event.type === 'status' && event.status === 'resumed') this.points.cut(this.pointsUpTo(event.step));
          if (this.points.count < before) touch(this.points.count);
          foldEvent(this.history, event);
        }
      }
    }
    return { points, facts };
  }

  /** Forgets everything: the log was replaced by another. */
  reset(): void {
    this.points.cut(0);
    this.history = emptyHistory();
  }

  private pointsUpTo(step: number): number {
    const steps = this.points.column('step');
    let count = this.points.count;
    while (count > 0 && (steps[count - 1] ?? 0) > step) count--;
    return count;
  }
}

/** A run's events folded into what happened, once: the overlap between attempts is dropped. */

import type { EventOf, RunEvent, RunStatus } from './events.js';

export interface RunHistory {
  /** The last status; undefined before the first. */
  status: EventOf<'status'> | undefined;
  setup: EventOf<'setup'> | undefined;
  train: EventOf<'train'>[];
  /** In order of step; one for each set and step. */
  evals: EventOf<'eval'>[];
  samples: EventOf<'sample'>[];
  examples: EventOf<'examples'>[];
  /** Those not deleted since. */
  checkpoints: EventOf<'checkpoint'>[];
  warnings: EventOf<'warning'>[];
  lastSeq: number;
}

export function emptyHistory(): RunHistory {
  return {
    status: undefined,
    setup: undefined,
    train: [],
    evals: [],
    samples: [],
    examples: [],
    checkpoints: [],
    warnings: [],
    lastSeq: -1,
  };
}

/** Adds one event to a history, in place: viewers fold as they tail. Events seen before (by `seq`) change nothing. */
export function foldEvent(history: RunHistory, event: RunEvent): RunHistory {
  if (event.seq <= history.lastSeq) return history;
  history.lastSeq = event.seq;
  switch (event.type) {
    case 'status':
      if (event.status === 'started') Object.assign(history, emptyHistory(), { lastSeq: event.seq });
      if (event.status === 'resumed') dropAfter(history, event.step);
      history.status = event;
      break;
    case 'setup':
      history.setup = event;
      break;
    case 'train':
      history.train.push(event);
      break;
    case 'eval':
      history.evals = history.evals.filter(({ set, step }) => set !== event.set || step !== event.step);
      history.evals.push(event);
      break;
    case 'examples':
      history.examples = history.examples.filter(({ set, step }) => set !== event.set || step !== event.step);
      history.examples.push(event);
      break;
    case 'sample': {
      const same = (other: EventOf<'sample'>): boolean =>
        other.set === event.set &&
        other.step === event.step &&
        other.place.file === event.place.file &&
        other.place.index === event.place.index;
      history.samples = history.samples.filter((other) => !same(other));
      history.samples.push(event);
      break;
    }
    case 'checkpoint':
      history.checkpoints = history.checkpoints.filter(
        ({ path }) => path !== event.path && !event.deleted.includes(path),
      );
      history.checkpoints.push(event);
      break;
    case 'warning':
      // Every attempt checks its data again; what it says replaces what the last one said.
      history.warnings = history.warnings.filter(({ message }) => message !== event.message);
      history.warnings.push(event);
      break;
  }
  return history;
}

export function foldEvents(events: Iterable<RunEvent>): RunHistory {
  const history = emptyHistory();
  for (const event of events) foldEvent(history, event);
  return history;
}

function dropAfter(history: RunHistory, last: number): void {
  const kept = ({ step }: { step: number }): boolean => step <= last;
  history.train = history.train.filter(kept);
  history.evals = history.evals.filter(kept);
  history.samples = history.samples.filter(kept);
  history.examples = history.examples.filter(kept);
  history.checkpoints = history.checkpoints.filter(kept);
}

/** A run as its facts show it: `running` and `created` come from the lock and the absence of events. */
export type RunState = Exclude<RunStatus, 'started' | 'resumed'> | 'running' | 'created';

/**
 * @param status the last status event
 * @param live whether a process holds the run's lock
 */
export function runStateOf(status: RunStatus | undefined, live: boolean): RunState {
  if (live) return 'running';
  if (status === undefined) return 'created';
  // The process that logged this is gone and said no goodbye: it was killed.
  if (status === 'started' || status === 'resumed') return 'interrupted';
  return status;
}

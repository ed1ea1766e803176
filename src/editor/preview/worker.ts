/**
 * The preview's worker, in one of two roles: `rows` answers at once, one request after another; `scan` reads the whole set and searches
 * it, both at a time, giving way between records. Strangers' files, templates and regular expressions run here alone.
 */

import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { failureOf } from '../../data/failure.js';
import { yieldToOthers } from '../../data/view/background.js';
import type { Answer, Ask, PreviewWorkerData } from './protocol.js';
import { RowsService } from './rows-service.js';
import { ScanService } from './scan-service.js';

/** What a piece of work says and hears while it is done. */
export interface Task {
  beat(row: number): void;
  event(value: unknown): void;
  readonly signal: AbortSignal;
}

function serve(port: MessagePort, { role, recordLimitMs, progress }: PreviewWorkerData): void {
  const slots = new Int32Array(progress);
  const beat = (row: number): void => {
    Atomics.store(slots, 1, row);
    Atomics.add(slots, 0, 1);
  };
  // Somebody waits for rows; what is found in all of them comes as it comes.
  if (role === 'scan') yieldToOthers();
  const service = role === 'rows' ? new RowsService() : new ScanService(recordLimitMs);
  const running = new Map<number, AbortController>();
  let last: Promise<void> = Promise.resolve();
  const answer = async (ask: Exclude<Ask, { cancel: true }>): Promise<void> => {
    const controller = running.get(ask.id) ?? new AbortController();
    const task: Task = {
      beat,
      event: (event) => port.postMessage({ id: ask.id, event } satisfies Answer),
      signal: controller.signal,
    };
    let reply: Answer;
    // To read or unpack what has no rows in it takes its time; what does not come to an end (an expression, a template) lets no timer run.
    const alive = setInterval(() => Atomics.add(slots, 0, 1), 500);
    try {
      if (!controller.signal.aborted) beat(0);
      controller.signal.throwIfAborted();
      reply = { id: ask.id, ok: true, value: await service.handle(ask, task) };
    } catch (error) {
      reply = { id: ask.id, ok: false, failure: failureOf(error) };
    }
    clearInterval(alive);
    running.delete(ask.id);
    port.postMessage(reply);
  };
  port.on('message', (ask: Ask) => {
    if ('cancel' in ask) {
      running.get(ask.id)?.abort();
      return;
    }
    running.set(ask.id, new AbortController());
    if (role === 'scan' || ask.method === 'index') void answer(ask);
    else last = last.then(() => answer(ask));
  });
}

if (parentPort !== null) serve(parentPort, workerData as PreviewWorkerData);

/** A thread that looks at parts of a data set for another one. See `examine-all.ts`. */

import type { MessagePort } from 'node:worker_threads';
import { failureOf } from '../failure.js';
import type { Failure } from '../protocol.js';
import { yieldToOthers } from './background.js';
import type { ExamineOptions } from './examine.js';
import { type ExamineAsk, type ExaminedPart, PartExaminer } from './examine-parts.js';
import { buffersOf } from './facts.js';

export interface ExamineData {
  readonly examine: ExamineOptions;
  readonly wantsFields: boolean;
  /** Int32: a heartbeat, the row looked at. */
  readonly slots: SharedArrayBuffer;
}

export type ExamineReply =
  | { readonly ok: true; readonly part: ExaminedPart }
  | { readonly ok: false; readonly failure: Failure };

export function serveExamine(port: MessagePort, { examine, wantsFields, slots }: ExamineData): void {
  yieldToOthers();
  const beats = new Int32Array(slots);
  // To read what has no rows in it takes its time; what does not come to an end lets no timer run.
  setInterval(() => Atomics.add(beats, 0, 1), 250).unref();
  let examiner: PartExaminer | undefined;
  port.on('message', async (ask: ExamineAsk) => {
    try {
      examiner ??= new PartExaminer(examine, wantsFields, (row) => {
        Atomics.store(beats, 1, row);
        Atomics.add(beats, 0, 1);
      });
      const part = await examiner.answer(ask);
      port.postMessage({ ok: true, part } satisfies ExamineReply, part === undefined ? [] : buffersOf(part.block));
    } catch (error) {
      port.postMessage({ ok: false, failure: failureOf(error) } satisfies ExamineReply);
    }
  });
}

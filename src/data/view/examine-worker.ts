/** A thread that looks at parts of a data set, one after another, as it is asked for them. See `examine-all.ts`. */

import type { MessagePort } from 'node:worker_threads';
import type { RecordFormat } from '../../core/data.js';
import { failureOf } from '../failure.js';
import type { Failure } from '../protocol.js';
import { readRecords } from '../read/records.js';
import type { RawRecord } from '../read/values.js';
import { yieldToOthers } from './background.js';
import { type ExamineOptions, Examiner } from './examine.js';
import { buffersOf, type FactBlock } from './facts.js';
import type { FieldNode } from './json-scan.js';
import { type Part, PartReader } from './parts.js';

export interface ExamineData {
  readonly examine: ExamineOptions;
  readonly wantsFields: boolean;
  /** Int32: a heartbeat, the row looked at. */
  readonly slots: SharedArrayBuffer;
}

/** The next part; without one the next block of the whole set. */
export interface ExamineAsk {
  readonly part: Part | undefined;
  readonly home: RecordFormat | undefined;
}

export type ExamineReply =
  | { readonly kind: 'block'; readonly block: FactBlock; readonly fields: FieldNode | undefined }
  | { readonly kind: 'end' }
  | { readonly kind: 'facts'; readonly maskSource: 'generation' | 'turns' | 'separators' | undefined }
  | { readonly kind: 'failed'; readonly failure: Failure };

const blockRows = 2000;
const blockBytes = 4 << 20;

export function serveExamine(port: MessagePort, { examine, wantsFields, slots }: ExamineData): void {
  yieldToOthers();
  const beats = new Int32Array(slots);
  // To read what has no rows in it takes its time; what does not come to an end lets no timer run.
  setInterval(() => Atomics.add(beats, 0, 1), 250).unref();
  const reply = (message: ExamineReply): void =>
    port.postMessage(message, message.kind === 'block' ? buffersOf(message.block) : []);
  let examiner: Examiner;
  try {
    examiner = new Examiner(examine, wantsFields);
    reply({ kind: 'facts', maskSource: examiner.maskSource });
  } catch (error) {
    reply({ kind: 'failed', failure: failureOf(error) });
    return;
  }
  const add = (record: RawRecord): void => {
    Atomics.store(beats, 1, record.place.index);
    Atomics.add(beats, 0, 1);
    examiner.add(record);
  };
  const reader = new PartReader(examine.path);
  let whole: AsyncGenerator<RawRecord> | undefined;
  const answer = async ({ part, home }: ExamineAsk): Promise<ExamineReply> => {
    examiner.home ??= home;
    if (part !== undefined) {
      for await (const record of reader.records(part)) add(record);
      return { kind: 'block', block: examiner.take(), fields: examiner.takeFields() };
    }
    whole ??= readRecords(examine.path);
    for (let bytes = 0; bytes < blockBytes && examiner.count < blockRows; ) {
      const next = await whole.next();
      if (next.done === true) break;
      bytes += next.value.bytes;
      add(next.value);
    }
    if (examiner.count === 0) return { kind: 'end' };
    return { kind: 'block', block: examiner.take(), fields: examiner.takeFields() };
  };
  let last: Promise<void> = Promise.resolve();
  port.on('message', (ask: ExamineAsk) => {
    last = last.then(async () => {
      try {
        reply(await answer(ask));
      } catch (error) {
        reply({ kind: 'failed', failure: failureOf(error) });
      }
    });
  });
}

/**
 * A whole data set looked at by several threads, a part each; what has no parts by one. Blocks come in the order of the file, with a few
 * made ahead. A thread that stands still is stopped, with all the others.
 */

import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { RecordFormat } from '../../core/data.js';
import { LabError } from '../../core/errors.js';
import { errorOf } from '../failure.js';
import { workerUrl } from '../worker-url.js';
import type { ExamineOptions } from './examine.js';
import type { ExamineAsk, ExamineData, ExamineReply } from './examine-worker.js';
import type { FactBlock } from './facts.js';
import { addFields, type FieldNode, fieldNode } from './json-scan.js';
import { type Part, partsOf } from './parts.js';

const ahead = 3;
const mostThreads = 4;
const megabytes = 1024;
const tickMs = 250;
const standardStallMs = 10_000;

export interface ExamineEnvironment {
  /** Told now and then which row is looked at, as long as there is progress. */
  readonly beat: (row: number) => void;
  readonly signal?: AbortSignal;
  /** How long a record may take. */
  readonly stallMs?: number;
  /** After the first block, nothing more is done until then. */
  readonly after?: Promise<unknown>;
}

export interface Examined {
  readonly blocks: AsyncGenerator<FactBlock>;
  /** Once all blocks have come: the fields met. Where lines are marked who marked them has met them. */
  fields(): FieldNode;
  maskSource(): 'generation' | 'turns' | 'separators' | undefined;
}

/** @param marks where lines of JSONL begin (offset, row and line of each), if it is such a file */
export function examineAll(
  options: ExamineOptions,
  marks: Float64Array | undefined,
  environment: ExamineEnvironment,
): Examined {
  const work = new Work(options, marks, environment);
  return { blocks: work.run(), fields: () => work.fields, maskSource: () => work.maskSource };
}

class Work {
  readonly fields = fieldNode('');
  maskSource: 'generation' | 'turns' | 'separators' | undefined;
  private readonly threads: Thread[] = [];
  private readonly done = new Map<number, Extract<ExamineReply, { kind: 'block' }>>();
  /** Those known so far; undefined until it is known whether there are any. */
  private parts: Part[] | 'none' | undefined;
  private failure: { readonly error: unknown } | undefined;
  private ended = false;
  /** Blocks asked for, taken, and how many there are. */
  private next = 0;
  private taken = 0;
  private count = Number.POSITIVE_INFINITY;
  private home: RecordFormat | undefined;
  private open: boolean;
  private wake: () => void = () => undefined;

  constructor(
    private readonly options: ExamineOptions,
    private readonly marks: Float64Array | undefined,
    private readonly environment: ExamineEnvironment,
  ) {
    this.open = environment.after === undefined;
  }

  async *run(): AsyncGenerator<FactBlock> {
    const { signal, after } = this.environment;
    signal?.throwIfAborted();
    const abort = (): void => this.fail(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    const timer = setInterval(() => this.watch(), tickMs);
    after?.then(
      () => {
        this.open = true;
        this.give();
      },
      (error: unknown) => this.fail(error),
    );
    const parted = this.findParts().catch((error: unknown) => this.fail(error));
    try {
      while (this.taken < this.count) {
        const block = this.done.get(this.taken);
        if (this.failure !== undefined) throw this.failure.error;
        if (block === undefined) {
          await new Promise<void>((resolve) => {
            this.wake = resolve;
          });
          continue;
        }
        this.done.delete(this.taken++);
        this.give();
        if (block.fields !== undefined) addFields(this.fields, block.fields);
        yield block.block;
      }
    } finally {
      clearInterval(timer);
      signal?.removeEventListener('abort', abort);
      this.ended = true;
      // Their memory is given back before anything is done with what they found.
      await Promise.all([parted, ...this.threads.map((thread) => thread.stop())]);
    }
  }

  /** Threads begin with the first parts while the others are looked for. */
  private async findParts(): Promise<void> {
    const found = await partsOf(this.options.path, this.marks);
    if (found === undefined) {
      this.parts = 'none';
      this.give();
      return;
    }
    const parts: Part[] = [];
    this.parts = parts;
    for await (const part of found) {
      if (this.ended) return;
      parts.push(part);
      this.give();
    }
    this.count = parts.length;
    this.wake();
  }

  /** Gives free threads what is to be done next. */
  private give(): void {
    const { parts } = this;
    if (parts === undefined) return;
    const most = parts === 'none' ? 1 : Math.min(mostThreads, availableParallelism());
    const known = parts === 'none' ? this.count : parts.length;
    while (this.failure === undefined && this.next < known && this.next < this.taken + ahead * most) {
      // Of what format the file is, its first records tell: until then one part after another.
      const first = this.home === undefined || !this.open;
      if (first && (this.next > this.taken || (this.taken > 0 && !this.open))) return;
      let thread = this.threads.find((one) => !one.busy);
      if (thread === undefined) {
        if (this.threads.length >= most) return;
        thread = this.thread();
      }
      const index = this.next++;
      this.ask(thread, index, parts === 'none' ? undefined : parts[index]);
    }
  }

  private ask(thread: Thread, index: number, part: Part | undefined): void {
    const hear = (reply: ExamineReply): void => {
      switch (reply.kind) {
        case 'facts':
          this.maskSource = reply.maskSource;
          return;
        case 'failed':
          this.fail(errorOf(reply.failure));
          return;
        case 'end':
          this.count = index;
          break;
        case 'block':
          this.home ??= reply.block.home;
          this.done.set(index, reply);
      }
      thread.busy = false;
      this.give();
      this.wake();
    };
    thread.ask({ part, home: this.home }, hear);
  }

  private thread(): Thread {
    const data: Omit<ExamineData, 'slots'> = { examine: this.options, wantsFields: this.marks === undefined };
    const thread = new Thread(data, (error) => this.fail(error));
    this.threads.push(thread);
    return thread;
  }

  private fail(error: unknown): void {
    this.failure ??= { error };
    this.wake();
  }

  private watch(): void {
    const { beat, stallMs = standardStallMs } = this.environment;
    let waits = false;
    for (const thread of this.threads) {
      const row = thread.moved();
      if (row !== undefined) beat(row);
      else if (thread.busy) waits = thread.stalledMs >= stallMs || waits;
    }
    const stalled = waits ? this.threads.find((one) => one.busy && one.stalledMs >= stallMs) : undefined;
    if (stalled !== undefined) {
      this.fail(
        new LabError(`row ${stalled.row + 1} takes longer than ${Math.round(stallMs / 1000)} s and was given up`, {
          advice:
            'A regular expression of the tokenizer, the chat template, or the record itself does not come to an end.',
        }),
      );
    }
  }
}

class Thread {
  busy = false;
  stalledMs = 0;
  private readonly slots = new Int32Array(new SharedArrayBuffer(8));
  private readonly worker: Worker;
  private last = 0;
  private hear: (reply: ExamineReply) => void = () => undefined;

  constructor(data: Omit<ExamineData, 'slots'>, failed: (error: unknown) => void) {
    const workerData: ExamineData = { ...data, slots: this.slots.buffer as SharedArrayBuffer };
    this.worker = new Worker(workerUrl('data-worker.js'), {
      workerData,
      resourceLimits: { maxOldGenerationSizeMb: megabytes, maxYoungGenerationSizeMb: 4 },
    });
    this.worker.on('message', (reply: ExamineReply) => this.hear(reply));
    this.worker.on('error', (error: Error & { code?: string }) => {
      const full = error.code === 'ERR_WORKER_OUT_OF_MEMORY';
      failed(full ? new LabError(`reading the data set needs more than ${megabytes} MB`) : error);
    });
    this.worker.on('exit', () => failed(new LabError('the data worker ended unexpectedly')));
  }

  get row(): number {
    return Atomics.load(this.slots, 1);
  }

  ask(ask: ExamineAsk, hear: (reply: ExamineReply) => void): void {
    this.busy = true;
    this.stalledMs = 0;
    this.hear = hear;
    this.worker.postMessage(ask);
  }

  /** The row it is at, where it has moved since the last call. */
  moved(): number | undefined {
    const beat = Atomics.load(this.slots, 0);
    if (!this.busy || beat !== this.last) {
      const moved = beat !== this.last;
      this.last = beat;
      this.stalledMs = 0;
      return moved ? this.row : undefined;
    }
    this.stalledMs += tickMs;
    return undefined;
  }

  async stop(): Promise<void> {
    this.worker.removeAllListeners();
    await this.worker.terminate();
  }
}

/**
 * A whole data set looked at by the thread that asks and, where the machine has cores for them, by others, a part each; what has no parts
 * by the one alone: threads take memory, each has a tokenizer of its own. Blocks come in the order of the file, with a few made ahead. A
 * thread that stands still is stopped, with all the others; whoever started the one that asks has to watch it.
 */

import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { RecordFormat } from '../../core/data.js';
import { LabError } from '../../core/errors.js';
import { errorOf } from '../failure.js';
import { workerUrl } from '../worker-url.js';
import type { ExamineOptions } from './examine.js';
import { type ExamineAsk, type ExaminedPart, PartExaminer } from './examine-parts.js';
import type { ExamineData, ExamineReply } from './examine-worker.js';
import type { FactBlock } from './facts.js';
import { addFields, type FieldNode, fieldNode } from './json-scan.js';
import { type Part, partsOf } from './parts.js';

const ahead = 3;
const mostThreads = 4;
/** One core is left to the editor. */
const usedThreads = Math.max(1, Math.min(mostThreads, availableParallelism() - 1));
const megabytes = 1024;
const tickMs = 250;
const standardStallMs = 10_000;

export interface ExamineEnvironment {
  /** Told which row is looked at: of every one in this thread, now and then of those in others. */
  readonly beat: (row: number) => void;
  readonly signal?: AbortSignal;
  /** How long a record may take. */
  readonly stallMs?: number;
  /** After the first block, nothing more is done until then. */
  readonly after?: Promise<unknown>;
  /** How many threads work on it, this one among them. */
  readonly threads?: number;
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
  private readonly here: Here;
  private readonly others: Thread[] = [];
  private readonly done = new Map<number, NonNullable<ExaminedPart>>();
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
    this.here = new Here(options, marks === undefined, environment.beat);
  }

  get maskSource(): 'generation' | 'turns' | 'separators' | undefined {
    return this.here.maskSource;
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
      await Promise.all([parted, this.here.stop(), ...this.others.map((thread) => thread.stop())]);
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
    const { threads = usedThreads } = this.environment;
    const most = parts === 'none' ? 1 : threads;
    const known = parts === 'none' ? this.count : parts.length;
    while (this.failure === undefined && !this.ended && this.next < known && this.next < this.taken + ahead * most) {
      // Of what format the file is, its first records tell: until then one part after another.
      const first = this.home === undefined || !this.open;
      if (first && (this.next > this.taken || (this.taken > 0 && !this.open))) return;
      const free = [this.here, ...this.others].find((one) => !one.busy);
      if (free === undefined && this.others.length + 1 >= most) return;
      const index = this.next++;
      void this.ask(free ?? this.thread(), index, parts === 'none' ? undefined : parts[index]);
    }
  }

  private async ask(thread: Here | Thread, index: number, part: Part | undefined): Promise<void> {
    try {
      const examined = await thread.ask({ part, home: this.home });
      if (examined === undefined) this.count = index;
      else {
        this.home ??= examined.block.home;
        this.done.set(index, examined);
      }
      this.give();
      this.wake();
    } catch (error) {
      this.fail(error);
    }
  }

  private thread(): Thread {
    const data: Omit<ExamineData, 'slots'> = { examine: this.options, wantsFields: this.marks === undefined };
    const thread = new Thread(data, (error) => this.fail(error));
    this.others.push(thread);
    return thread;
  }

  private fail(error: unknown): void {
    this.failure ??= { error };
    this.wake();
  }

  private watch(): void {
    const { beat, stallMs = standardStallMs } = this.environment;
    let waits = false;
    for (const thread of this.others) {
      const row = thread.moved();
      if (row !== undefined) beat(row);
      else if (thread.busy) waits = thread.stalledMs >= stallMs || waits;
    }
    const stalled = waits ? this.others.find((one) => one.busy && one.stalledMs >= stallMs) : undefined;
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

/** The thread that asks. Between records it gives way. */
class Here {
  busy = false;
  private examiner: PartExaminer | undefined;

  constructor(
    private readonly options: ExamineOptions,
    private readonly wantsFields: boolean,
    private readonly beat: (row: number) => void,
  ) {}

  get maskSource(): 'generation' | 'turns' | 'separators' | undefined {
    return this.examiner?.maskSource;
  }

  async ask(ask: ExamineAsk): Promise<ExaminedPart> {
    this.busy = true;
    try {
      this.examiner ??= new PartExaminer(this.options, this.wantsFields, this.beat);
      return await this.examiner.answer(ask);
    } finally {
      this.busy = false;
    }
  }

  async stop(): Promise<void> {
    await this.examiner?.stop();
  }
}

class Thread {
  busy = false;
  stalledMs = 0;
  private readonly slots = new Int32Array(new SharedArrayBuffer(8));
  private readonly worker: Worker;
  private last = 0;
  private hear: { resolve(part: ExaminedPart): void; reject(error: unknown): void } | undefined;

  constructor(data: Omit<ExamineData, 'slots'>, failed: (error: unknown) => void) {
    const workerData: ExamineData = { ...data, slots: this.slots.buffer as SharedArrayBuffer };
    this.worker = new Worker(workerUrl('data-worker.js'), {
      workerData,
      resourceLimits: { maxOldGenerationSizeMb: megabytes, maxYoungGenerationSizeMb: 2 },
    });
    this.worker.on('message', (reply: ExamineReply) => {
      this.busy = false;
      if (reply.ok) this.hear?.resolve(reply.part);
      else this.hear?.reject(errorOf(reply.failure));
    });
    this.worker.on('error', (error: Error & { code?: string }) => {
      const full = error.code === 'ERR_WORKER_OUT_OF_MEMORY';
      failed(full ? new LabError(`reading the data set needs more than ${megabytes} MB`) : error);
    });
    this.worker.on('exit', () => failed(new LabError('the data worker ended unexpectedly')));
  }

  get row(): number {
    return Atomics.load(this.slots, 1);
  }

  ask(ask: ExamineAsk): Promise<ExaminedPart> {
    this.busy = true;
    this.stalledMs = 0;
    return new Promise((resolve, reject) => {
      this.hear = { resolve, reject };
      this.worker.postMessage(ask);
    });
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

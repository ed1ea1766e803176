/** Data sets for the trainer and the editor: the face of the worker that does the work. */

import type { Worker } from 'node:worker_threads';
import { LabError } from '../core/errors.js';
import { errorOf } from './failure.js';
import type { Method, Opened, Reply, Requests } from './protocol.js';
import { type DataWorker, maxHeapMegabytes, startDataWorker } from './start-worker.js';
import type { TrainingData, TrainingDataOptions } from './types.js';

export { type DataWorker, startDataWorker } from './start-worker.js';
export type * from './types.js';

/** A record takes milliseconds. One that takes this long (a runaway regular expression or template) is stopped. */
const defaultSeconds = 20;

/**
 * Opens a data set in a worker of its own: reads, checks, splits and tokenises it.
 *
 * @param started the worker, where it was started before
 * @throws LabError with the place of what is wrong in data set, tokenizer or template
 */
export async function openTrainingData(
  options: TrainingDataOptions,
  signal?: AbortSignal,
  started?: DataWorker,
): Promise<TrainingData> {
  signal?.throwIfAborted();
  const client = new Client(options, started ?? startDataWorker());
  const abort = (): void => client.fail(signal?.reason);
  signal?.addEventListener('abort', abort, { once: true });
  let opened: Opened;
  try {
    opened = await client.ask('open', options);
  } catch (error) {
    await client.close();
    throw error;
  }
  return {
    ...opened,
    next: (count, stop) => abortable(client.ask('next', count), stop),
    seek: async (epoch, index) => void (await client.ask('seek', { epoch, index })),
    largest: (count, epochs) => client.ask('largest', { count, epochs }),
    decode: (tokens) => client.ask('decode', tokens),
    pieces: (tokens) => client.ask('pieces', tokens),
    encodePrompts: (texts) => client.ask('encodePrompts', texts),
    close: () => {
      signal?.removeEventListener('abort', abort);
      return client.close();
    },
  };
}

/** Stops waiting when the signal says so; the examples under way are lost to the caller, so a `seek` has to follow. */
function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

interface Waiting {
  readonly resolve: (value: never) => void;
  readonly reject: (reason: unknown) => void;
}

class Client {
  private readonly worker: Worker;
  private readonly progress: Int32Array;
  private readonly waiting = new Map<number, Waiting>();
  private readonly watchdog: NodeJS.Timeout;
  private lastBeat = 0;
  private stalled = 0;
  private readonly stallSeconds: number;
  private lastId = 0;
  private failure: unknown;

  constructor(
    private readonly options: TrainingDataOptions,
    { worker, progress }: DataWorker,
  ) {
    this.stallSeconds = options.secondsPerRecord ?? defaultSeconds;
    this.worker = worker;
    this.progress = progress;
    this.worker.on('message', (reply: Reply) => this.receive(reply));
    this.worker.on('error', (error) => this.fail(this.translate(error)));
    this.worker.on('exit', () => this.fail(new LabError('the data worker ended unexpectedly')));
    this.watchdog = setInterval(() => this.watch(), 1000);
    this.watchdog.unref();
  }

  ask<M extends Method>(method: M, argument: Requests[M]['in']): Promise<Requests[M]['out']> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    const id = ++this.lastId;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.ref();
      this.worker.postMessage({ id, method, argument });
    });
  }

  /** Everything that waits, and all that is asked from now on, fails with this. */
  fail(reason: unknown): void {
    if (this.failure !== undefined) return;
    this.failure = reason ?? new LabError('the data set was closed');
    clearInterval(this.watchdog);
    for (const { reject } of this.waiting.values()) reject(this.failure);
    this.waiting.clear();
    void this.worker.terminate();
  }

  async close(): Promise<void> {
    this.fail(new LabError('the data set is closed'));
    await this.worker.terminate();
  }

  private receive(reply: Reply): void {
    const waiting = this.waiting.get(reply.id);
    if (waiting === undefined) return;
    this.waiting.delete(reply.id);
    if (this.waiting.size === 0) this.worker.unref();
    this.stalled = 0;
    if (reply.ok) {
      waiting.resolve(reply.value as never);
      return;
    }
    waiting.reject(errorOf(reply.failure));
  }

  /** Stops the worker when somebody waits and no record was begun for long. */
  private watch(): void {
    const beat = Atomics.load(this.progress, 0);
    if (this.waiting.size === 0 || beat !== this.lastBeat) {
      this.lastBeat = beat;
      this.stalled = 0;
      return;
    }
    if (++this.stalled < this.stallSeconds) return;
    this.fail(
      new LabError(`this takes longer than ${this.stallSeconds} s and was stopped`, {
        place: this.place(),
        advice:
          'A regular expression of the tokenizer, the chat template, or the record itself does not come to an end.',
      }),
    );
  }

  private translate(error: Error & { code?: string }): unknown {
    if (error.code !== 'ERR_WORKER_OUT_OF_MEMORY') return error;
    return new LabError(`the data does not fit into ${maxHeapMegabytes} MB`, {
      place: this.place(),
      advice: 'Set streaming to true, so that records are read as they are needed.',
    });
  }

  private place(): { file: string; line?: number } {
    const files = [this.options.train, ...Object.values(this.options.evaluation)].flat().map(({ path }) => path);
    const file = Atomics.load(this.progress, 0) === 0 ? undefined : files[Atomics.load(this.progress, 1)];
    return file === undefined ? { file: this.options.modelDirectory } : { file, line: Atomics.load(this.progress, 2) };
  }
}

/** The extension's side of a preview worker: asks, hears, cancels, and stops it where it hangs. */

import { Worker } from 'node:worker_threads';
import { LabError } from '../../core/errors.js';
import { errorOf } from '../../data/failure.js';
import type { Answer, Ask, Method, Methods, PreviewWorkerData } from './protocol.js';

interface Waiting {
  readonly method: Method;
  readonly resolve: (value: never) => void;
  readonly reject: (reason: unknown) => void;
  readonly event: ((value: never) => void) | undefined;
}

const tickMs = 500;
const closeMs = 2000;
const scanGraceMs = 1500;

export class PreviewClient {
  private worker: Worker | undefined;
  private readonly progress = new Int32Array(new SharedArrayBuffer(8));
  private readonly waiting = new Map<number, Waiting>();
  private watchdog: NodeJS.Timeout | undefined;
  private lastBeat = 0;
  private stalledMs = 0;
  private lastId = 0;
  private closed = false;

  /**
   * @param megabytes what its heap may grow to
   * @param limitMs how long one record may take
   * @param onLost told when the worker was stopped or failed, and whether it searched; the next request begins a new one
   */
  constructor(
    private readonly program: string,
    private readonly role: PreviewWorkerData['role'],
    private readonly megabytes: number,
    private readonly limitMs: number,
    private readonly onLost: (error: LabError, searching: boolean) => void,
  ) {}

  /** Rejects with the signal's reason once it is given up; the worker is told. */
  ask<M extends Method>(
    method: M,
    argument: Methods[M]['in'],
    { signal, event }: { signal?: AbortSignal; event?: (value: Methods[M]['event']) => void } = {},
  ): Promise<Methods[M]['out']> {
    if (this.closed) return Promise.reject(new LabError('the preview is closed'));
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    const worker = this.started();
    const id = ++this.lastId;
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        this.post(worker, { id, cancel: true });
        this.settle(id)?.reject(signal?.reason);
      };
      signal?.addEventListener('abort', abort, { once: true });
      const done = (): void => signal?.removeEventListener('abort', abort);
      this.waiting.set(id, {
        method,
        resolve: (value: Methods[M]['out']) => {
          done();
          resolve(value);
        },
        reject: (reason) => {
          done();
          reject(reason);
        },
        event,
      });
      this.post(worker, { id, method, argument } as Ask);
    });
  }

  /** The worker removes what it unpacked; one that does not answer is stopped all the same. */
  async close(): Promise<void> {
    if (this.closed) return;
    const closing = this.worker === undefined ? undefined : this.ask('close', null).catch(() => undefined);
    this.closed = true;
    if (closing !== undefined) await Promise.race([closing, new Promise((done) => setTimeout(done, closeMs).unref())]);
    this.lose(new LabError('the preview is closed'));
  }

  private started(): Worker {
    if (this.worker !== undefined) return this.worker;
    const workerData: PreviewWorkerData = {
      role: this.role,
      recordLimitMs: this.limitMs,
      progress: this.progress.buffer as SharedArrayBuffer,
    };
    const worker = new Worker(this.program, {
      workerData,
      // A small young generation: most of an idle worker's memory would be that.
      resourceLimits: {
        maxOldGenerationSizeMb: this.megabytes,
        maxYoungGenerationSizeMb: 2,
      },
    });
    worker.on('message', (answer: Answer) => this.hear(answer));
    worker.on('error', (error: Error & { code?: string }) => {
      const full = error.code === 'ERR_WORKER_OUT_OF_MEMORY';
      const why = full ? `needs more than ${this.megabytes} MB` : error.message;
      if (worker === this.worker) this.fail(new LabError(`reading the data set ${full ? why : `failed: ${why}`}`));
    });
    worker.on('exit', () => {
      if (worker === this.worker) this.fail(new LabError('the worker that reads the data set ended unexpectedly'));
    });
    this.worker = worker;
    this.watchdog = setInterval(() => this.watch(), tickMs);
    this.watchdog.unref();
    return worker;
  }

  private post(worker: Worker, ask: Ask): void {
    worker.postMessage(ask);
  }

  private hear(answer: Answer): void {
    this.stalledMs = 0;
    if ('event' in answer) {
      this.waiting.get(answer.id)?.event?.(answer.event as never);
      return;
    }
    const waiting = this.settle(answer.id);
    if (answer.ok) waiting?.resolve(answer.value as never);
    else waiting?.reject(errorOf(answer.failure));
  }

  private settle(id: number): Waiting | undefined {
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    return waiting;
  }

  /** Stops the worker when somebody waits and no record was begun for long. */
  private watch(): void {
    const beat = Atomics.load(this.progress, 0);
    if (this.waiting.size === 0 || beat !== this.lastBeat) {
      this.lastBeat = beat;
      this.stalledMs = 0;
      return;
    }
    this.stalledMs += tickMs;
    // A scan looks after its own threads, and tells which row it is that does not end.
    if (this.stalledMs < this.limitMs + (this.role === 'scan' ? scanGraceMs : 0)) return;
    const seconds = Math.round(this.limitMs / 1000);
    const finding = [...this.waiting.values()].some(({ method }) => method === 'find');
    this.fail(
      new LabError(
        finding
          ? `the search took longer than ${seconds} s in row ${Atomics.load(this.progress, 1) + 1} and was stopped`
          : `row ${Atomics.load(this.progress, 1) + 1} takes longer than ${seconds} s and was given up`,
        {
          advice: finding
            ? 'The regular expression may try the same text in endlessly many ways: nested repeats such as (a+)+ do.'
            : 'A regular expression of the tokenizer, the chat template, or the record itself does not come to an end.',
        },
      ),
    );
  }

  private fail(error: LabError): void {
    const searching = [...this.waiting.values()].some(({ method }) => method === 'find');
    this.lose(error);
    if (!this.closed) this.onLost(error, searching);
  }

  private lose(error: LabError): void {
    clearInterval(this.watchdog);
    const { worker } = this;
    this.worker = undefined;
    this.stalledMs = 0;
    void worker?.terminate();
    const all = [...this.waiting.values()];
    this.waiting.clear();
    for (const { reject } of all) reject(error);
  }
}

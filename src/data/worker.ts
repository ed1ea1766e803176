/**
 * The worker: everything that touches a stranger's files (data sets, tokenizers with their regular expressions, chat templates) happens here,
 * where it has a limit on memory and can be stopped.
 */

import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { RecordPlace } from '../core/data.js';
import { LabError } from '../core/errors.js';
import type { Failure, Opened, Reply, Request, WorkerData } from './protocol.js';
import { type Feed, MemoryFeed, StreamFeed } from './set/feed.js';
import { prepare, requireRecords } from './set/prepare.js';
import { prepareStream, shouldStream } from './set/prepare-stream.js';
import { ExampleTokenizer } from './text/examples.js';
import type { PromptExample } from './types.js';

class DataWorker {
  private readonly heartbeat: Int32Array;
  private readonly files: readonly string[];
  private tokenizer: ExampleTokenizer | undefined;
  private feed: Feed | undefined;

  constructor(private readonly data: WorkerData) {
    this.heartbeat = new Int32Array(data.progress);
    this.files = [data.options.train, ...Object.values(data.options.evaluation)].flat().map(({ path }) => path);
  }

  async handle(request: Request): Promise<unknown> {
    switch (request.method) {
      case 'open':
        return this.open();
      case 'next':
        return this.opened(this.feed).next(request.argument);
      case 'seek':
        await this.opened(this.feed).seek(request.argument.epoch, request.argument.index);
        return null;
      case 'largest':
        return this.opened(this.feed).largest(request.argument.count, request.argument.epochs);
      case 'decode':
        return this.opened(this.tokenizer).tokenizer.decode([...request.argument], false);
      case 'pieces':
        return this.opened(this.tokenizer).tokenizer.textsOf(request.argument);
      case 'encodePrompts':
        return request.argument.map((text, index) => this.encodePrompt(text, index));
    }
  }

  private async open(): Promise<Opened> {
    const { options } = this.data;
    const progress = (place: RecordPlace): void => {
      Atomics.store(this.heartbeat, 1, this.files.indexOf(place.file));
      Atomics.store(this.heartbeat, 2, place.line);
      Atomics.add(this.heartbeat, 0, 1);
    };
    this.tokenizer = new ExampleTokenizer(options);
    const stopTokens = Int32Array.from(this.tokenizer.stopTokens);
    if (options.train.length > 0 && (await shouldStream(options))) {
      const { report, evaluation } = await prepareStream(options, this.tokenizer, progress);
      this.feed = new StreamFeed(options, this.tokenizer, progress);
      return { report, stopTokens, evaluation };
    }
    const prepared = await prepare(options, this.tokenizer, progress);
    if (options.train.length > 0) requireRecords(prepared, options);
    this.feed = new MemoryFeed(prepared.train, options);
    return { report: prepared.report, stopTokens, evaluation: prepared.evaluation };
  }

  private encodePrompt(text: string, index: number): PromptExample {
    const ids = this.opened(this.tokenizer).encodePrompt([{ role: 'user', content: text }]);
    return { place: { file: '', index, line: 0 }, prompt: Int32Array.from(ids), reference: '', promptText: text };
  }

  private opened<T>(part: T | undefined): T {
    if (part === undefined) throw new Error('the data set is not open');
    return part;
  }
}

function failureOf(error: unknown): Failure {
  if (error instanceof LabError) {
    return { lab: true, message: error.message, place: error.place, advice: error.advice, stack: error.stack };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { lab: false, message, place: {}, advice: undefined, stack: error instanceof Error ? error.stack : undefined };
}

/** Requests are answered one after another, in their order. */
function serve(port: MessagePort, worker: DataWorker): void {
  let last: Promise<void> = Promise.resolve();
  port.on('message', (request: Request) => {
    last = last.then(async () => {
      let reply: Reply;
      try {
        reply = { id: request.id, ok: true, value: await worker.handle(request) };
      } catch (error) {
        reply = { id: request.id, ok: false, failure: failureOf(error) };
      }
      port.postMessage(reply);
    });
  });
}

if (parentPort !== null) serve(parentPort, new DataWorker(workerData as WorkerData));

/**
 * The worker: everything that touches a stranger's files (data sets, tokenizers with their regular expressions, chat templates) happens here,
 * where it has a limit on memory and can be stopped.
 */

import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { RecordPlace } from '../core/data.js';
import { failureOf } from './failure.js';
import type { Opened, Reply, Request, WorkerData } from './protocol.js';
import { type Feed, MemoryFeed, StreamFeed } from './set/feed.js';
import { prepare, requireRecords } from './set/prepare.js';
import { prepareStream, shouldStream } from './set/prepare-stream.js';
import { ExampleTokenizer } from './text/examples.js';
import type { PromptExample, TrainingDataOptions } from './types.js';
import type { ExamineData } from './view/examine-worker.js';
import type { JobData } from './view/jobs-worker.js';
import type { ViewData } from './view/view-worker.js';

class DataWorker {
  private readonly heartbeat: Int32Array;
  private tokenizer: ExampleTokenizer | undefined;
  private feed: Feed | undefined;

  constructor({ progress }: WorkerData) {
    this.heartbeat = new Int32Array(progress);
  }

  async handle(request: Request): Promise<unknown> {
    switch (request.method) {
      case 'open':
        return this.open(request.argument);
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

  private async open(options: TrainingDataOptions): Promise<Opened> {
    const files = [options.train, ...Object.values(options.evaluation)].flat().map(({ path }) => path);
    const progress = (place: RecordPlace): void => {
      Atomics.store(this.heartbeat, 1, files.indexOf(place.file));
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

/**
 * One bundle, four kinds of workers: of a run's data, of a job on a whole data set, of parts of one, of an open data set. Each loads its
 * own part.
 */
async function begin(port: MessagePort, data: WorkerData | JobData | ExamineData | ViewData): Promise<void> {
  if ('job' in data) await (await import('./view/jobs-worker.js')).serveJob(port, data);
  else if ('examine' in data) (await import('./view/examine-worker.js')).serveExamine(port, data);
  else if ('view' in data) (await import('./view/view-worker.js')).serveView(port, data);
  else serve(port, new DataWorker(data));
}

if (parentPort !== null) void begin(parentPort, workerData);

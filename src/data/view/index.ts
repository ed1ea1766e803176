/** An open data set of any size: rows by number, its index and check, tokens of rows, analyses and filters, all outside this thread. */

import { Worker } from 'node:worker_threads';
import { LabError } from '../../core/errors.js';
import { errorOf } from '../failure.js';
import type { RawRecord } from '../read/records.js';
import { workerUrl } from '../worker-url.js';
import { type CheckResult, mergeSegments } from './check.js';
import { type CountPart, type CountTask, mergeCounts, type TokenCounts } from './count-tokens.js';
import type { TokenRequest, TokenRow, ViewMethod, ViewMethods, ViewOpened, ViewReply } from './protocol.js';
import type { JobOptions } from './run-job.js';
import { type Layout, runAll, segmentTasks } from './segments.js';

export type { Analysis, AnalysisOptions, RowProblems } from './analyse.js';
export type { CheckResult } from './check.js';
export type { TokenCounts } from './count-tokens.js';
export type { FilterOptions, FilterResult } from './filter.js';
export { type RowProblemKind, rowProblemKinds } from './problem-kinds.js';
export type { TokenRequest, TokenRow, ViewOpened } from './protocol.js';
export { type JobOptions, runJob } from './run-job.js';
export { parseWhere, type Where } from './where.js';

const maxHeapMegabytes = 2048;
/** Rows and tokens of a screenful take milliseconds. */
const stallSeconds = 30;
const tableWorkers = 2;
/** Smaller tables are counted before a second worker is there. */
const leastSplitTable = 16 * 1024 * 1024;

export interface OpenDataSet {
  readonly info: ViewOpened;
  /** Rows from `from` (counted from 0); fewer at the end. Works before the index is made, but far rows take long then. */
  rows(from: number, count: number): Promise<RawRecord[]>;
  tokens(request: TokenRequest): Promise<TokenRow[]>;
  /** Finds where the rows are. @returns how many there are */
  index(options?: JobOptions): Promise<number>;
  /** As `index`, and checks every line, its fields and its length on the way. Undefined for kinds that `analyse` alone can check. */
  check(options?: JobOptions): Promise<CheckResult | undefined>;
  /** Exact counts of tokens, on two threads for JSONL and tables. */
  countTokens(task: Omit<CountTask, 'path' | 'part'>, options?: JobOptions): Promise<TokenCounts>;
  close(): Promise<void>;
}

/** @throws LabError where the file cannot be read at all */
export async function openDataView(path: string): Promise<OpenDataSet> {
  const client = new ViewClient(path);
  let info: ViewOpened;
  try {
    info = await client.ask('open', null);
  } catch (error) {
    await client.close();
    throw error;
  }
  const layout: Layout | undefined = info.segments === undefined ? undefined : { size: info.size, ...info.segments };
  const segments = async (check: boolean, options: JobOptions): Promise<CheckResult | undefined> => {
    if (layout === undefined) return undefined;
    const result = mergeSegments(await runAll('segment', segmentTasks(path, layout, check), options));
    await client.ask('marks', { marks: result.marks, rows: result.records });
    return result;
  };
  return {
    info,
    rows: (from, count) => client.ask('rows', { from, count }),
    tokens: (request) => client.ask('tokens', request),
    index: async (options = {}) => (await segments(false, options))?.records ?? (await client.ask('index', null)),
    check: (options = {}) => segments(true, options),
    countTokens: async (task, options = {}) => {
      const parts = countParts(path, info, layout);
      const counts = mergeCounts(
        await runAll(
          'tokens',
          parts.map((part) => ({ ...task, path, ...part })),
          options,
        ),
      );
      if (counts === undefined) throw new LabError('no part was counted', { place: { file: path } });
      return counts;
    },
    close: () => client.close(),
  };
}

function countParts(path: string, info: ViewOpened, layout: Layout | undefined): { readonly part?: CountPart }[] {
  if (layout !== undefined) {
    return segmentTasks(path, layout, false).map(({ from, to, start }) => ({
      part: { kind: 'lines', from, to, start },
    }));
  }
  const isTable = info.packing === 'none' && (info.kind === 'parquet' || info.kind === 'arrow');
  if (!isTable || info.size < leastSplitTable) return [{}];
  return Array.from({ length: tableWorkers }, (_, nth) => ({ part: { kind: 'windows', nth, of: tableWorkers } }));
}

interface Waiting {
  readonly resolve: (value: never) => void;
  readonly reject: (reason: unknown) => void;
  readonly since: number;
  readonly method: ViewMethod;
}

class ViewClient {
  private readonly worker: Worker;
  private readonly waiting = new Map<number, Waiting>();
  private readonly watchdog: NodeJS.Timeout;
  private lastId = 0;
  private failure: unknown;

  constructor(path: string) {
    this.worker = new Worker(workerUrl('data-worker.js'), {
      workerData: { view: path },
      resourceLimits: { maxOldGenerationSizeMb: maxHeapMegabytes, maxYoungGenerationSizeMb: 4 },
    });
    this.worker.on('message', (reply: ViewReply) => this.receive(reply));
    this.worker.on('error', (error) => this.fail(error));
    this.worker.on('exit', () => this.fail(new LabError('the data worker ended unexpectedly')));
    this.worker.unref();
    this.watchdog = setInterval(() => this.watch(), 1000);
    this.watchdog.unref();
  }

  ask<M extends ViewMethod>(method: M, argument: ViewMethods[M]['in']): Promise<ViewMethods[M]['out']> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    const id = ++this.lastId;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject, since: performance.now(), method });
      this.worker.ref();
      this.worker.postMessage({ id, method, argument });
    });
  }

  async close(): Promise<void> {
    // The worker removes what it unpacked; one that does not answer is stopped all the same.
    if (this.failure === undefined) {
      await Promise.race([
        this.ask('close', null).catch(() => undefined),
        new Promise((resolve) => setTimeout(resolve, 2000).unref()),
      ]);
    }
    this.fail(new LabError('the data set is closed'));
    await this.worker.terminate();
  }

  private fail(reason: unknown): void {
    if (this.failure !== undefined) return;
    this.failure = reason;
    clearInterval(this.watchdog);
    for (const { reject } of this.waiting.values()) reject(reason);
    this.waiting.clear();
    void this.worker.terminate();
  }

  private receive(reply: ViewReply): void {
    const waiting = this.waiting.get(reply.id);
    if (waiting === undefined) return;
    this.waiting.delete(reply.id);
    if (this.waiting.size === 0) this.worker.unref();
    if (reply.ok) waiting.resolve(reply.value as never);
    else waiting.reject(errorOf(reply.failure));
  }

  private watch(): void {
    const now = performance.now();
    for (const { since, method } of this.waiting.values()) {
      if (method !== 'tokens' || now - since < stallSeconds * 1000) continue;
      const advice = 'A regular expression of the tokenizer, the chat template, or a record does not come to an end.';
      this.fail(new LabError(`tokens take longer than ${stallSeconds} s and were stopped`, { advice }));
      return;
    }
  }
}

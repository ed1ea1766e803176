/** Training examples in their seeded order, from memory or from a stream of records. */

import type { TokenizedExample } from '../../core/data.js';
import { permutation, Random } from '../../core/random.js';
import type { ExampleTokenizer } from '../text/examples.js';
import type { BatchSize, TrainingDataOptions } from '../types.js';
import { attempt, type LoadedRecord, loadRecords, type Progress } from './load.js';
import { promptKey } from './normal.js';
import type { ExampleList } from './packed.js';
import { Problems } from './problems.js';
import { splitPoint } from './split.js';

/** Hands out the examples of one epoch after another. */
export interface Feed {
  /** The next `count` of the epoch; fewer at its end, then none. */
  next(count: number): Promise<TokenizedExample[]>;
  /** Goes to example `index` of an epoch. */
  seek(epoch: number, index: number): Promise<void>;
  /** The most of everything in any `count` examples handed out together; a bound where only reading them would tell. */
  largest(count: number, epochs: number): BatchSize;
}

/** Looked through at most for the largest batch: what comes after so many has hardly a chance of being larger. */
const mostSearched = 20_000_000;

export class MemoryFeed implements Feed {
  private order: Uint32Array = new Uint32Array();
  private at = 0;

  constructor(
    private readonly examples: ExampleList,
    private readonly options: Pick<TrainingDataOptions, 'seed' | 'shuffle'>,
  ) {}

  async next(count: number): Promise<TokenizedExample[]> {
    const chosen = Array.from(this.order.subarray(this.at, this.at + count), (i) => this.examples.at(i));
    this.at += chosen.length;
    return chosen.filter((example) => example !== undefined);
  }

  async seek(epoch: number, index: number): Promise<void> {
    this.order = this.orderOf(epoch);
    this.at = Math.min(index, this.order.length);
  }

  largest(count: number, epochs: number): BatchSize {
    const sizes = Array.from({ length: this.examples.length }, (_, i) => this.examples.sizeAt(i));
    let most = { tokens: 0, longest: 0, trained: 0 };
    const different = this.options.shuffle ? epochs : 1;
    for (let epoch = 0; epoch < different && epoch * sizes.length < mostSearched; epoch++) {
      const order = this.orderOf(epoch);
      for (let start = 0; start < order.length; start += count) {
        const batch = { tokens: 0, longest: 0, trained: 0 };
        for (const i of order.subarray(start, start + count)) {
          const { tokens, trained } = sizes[i] ?? { tokens: 0, trained: 0 };
          batch.tokens += tokens;
          batch.trained += trained;
          batch.longest = Math.max(batch.longest, tokens);
        }
        most = {
          tokens: Math.max(most.tokens, batch.tokens),
          longest: Math.max(most.longest, batch.longest),
          trained: Math.max(most.trained, batch.trained),
        };
      }
    }
    return most;
  }

  private orderOf(epoch: number): Uint32Array {
    const { seed, shuffle } = this.options;
    const count = this.examples.length;
    return shuffle ? permutation(count, new Random(seed, epoch)) : Uint32Array.from({ length: count }, (_, i) => i);
  }
}

/**
 * Reads records as they are needed and mixes them in a buffer: each one handed out leaves its place to the next one read. Going to a
 * place in an epoch reads and mixes the records before it again. `maxTrainSamples` takes the first records of the file.
 */
export class StreamFeed implements Feed {
  private records: AsyncGenerator<LoadedRecord> | undefined;
  private buffer: LoadedRecord[] = [];
  private random = new Random(0);
  private taken = 0;
  private problems = new Problems();

  constructor(
    private readonly options: TrainingDataOptions,
    private readonly tokenizer: ExampleTokenizer,
    private readonly progress: Progress,
  ) {}

  async next(count: number): Promise<TokenizedExample[]> {
    const examples: TokenizedExample[] = [];
    while (examples.length < count) {
      const record = await this.draw();
      if (record === undefined) break;
      const example = this.tokenize(record);
      if (example !== undefined) examples.push(example);
    }
    return examples;
  }

  async seek(epoch: number, index: number): Promise<void> {
    await this.records?.return(undefined);
    this.problems = new Problems();
    this.records = loadRecords(this.options.train, this.problems, this.progress);
    this.buffer = [];
    this.taken = 0;
    this.random = new Random(this.options.seed, epoch);
    for (let i = 0; i < index; ) {
      const record = await this.draw();
      if (record === undefined) return;
      // It takes a record's tokens to know whether it was handed out.
      if (this.tokenize(record) !== undefined) i++;
    }
  }

  largest(count: number): BatchSize {
    const tokens = count * this.options.maxLength;
    return { tokens, longest: this.options.maxLength, trained: tokens };
  }

  /** Undefined where the record trains nothing, or the template refuses it and bad records are skipped. */
  private tokenize({ example }: LoadedRecord): TokenizedExample | undefined {
    const { lossOn, maxLength, onBadRecord } = this.options;
    const tokenized = attempt(example, this.problems, () => this.tokenizer.tokenize(example, lossOn, maxLength));
    if (tokenized === undefined && onBadRecord === 'stop') this.problems.throwBadRecords();
    return tokenized?.mask.includes(1) === true ? tokenized : undefined;
  }

  private async draw(): Promise<LoadedRecord | undefined> {
    const size = this.options.shuffle ? this.options.shuffleBufferSize : 1;
    while (this.buffer.length < size) {
      const record = await this.read();
      if (record === undefined) break;
      this.buffer.push(record);
    }
    if (this.buffer.length === 0) return undefined;
    const at = this.options.shuffle ? this.random.below(this.buffer.length) : 0;
    const record = this.buffer[at];
    const last = this.buffer.pop();
    if (last !== undefined && at < this.buffer.length) this.buffer[at] = last;
    return record;
  }

  /** The next record that belongs to training. */
  private async read(): Promise<LoadedRecord | undefined> {
    for (;;) {
      if (this.options.maxTrainSamples > 0 && this.taken >= this.options.maxTrainSamples) return undefined;
      const next = await this.records?.next();
      if (this.options.onBadRecord === 'stop') this.problems.throwBadRecords();
      if (next === undefined || next.done === true) return undefined;
      if (heldOut(next.value, this.options)) continue;
      this.taken++;
      return next.value;
    }
  }
}

/** Whether a streamed record belongs to the evaluation set that is split off. */
export function heldOut(
  record: LoadedRecord,
  options: Pick<TrainingDataOptions, 'evaluation' | 'testSize' | 'seed'>,
): boolean {
  if (options.testSize === 0 || Object.keys(options.evaluation).length > 0) return false;
  return splitPoint(options.seed, promptKey(record.example)) < options.testSize;
}

/** The training examples, a step at a time, over the epochs. */

import { LabError } from '../core/errors.js';
import type { TokenizedExample, TrainingData } from '../data/types.js';
import { microbatches } from './batching.js';

/** Where in the data a run stands: epochs done, and examples of the next one used. */
export interface DataPosition {
  readonly epoch: number;
  readonly index: number;
}

export interface StepWork {
  /** From 0. */
  readonly epoch: number;
  readonly microbatches: readonly (readonly TokenizedExample[])[];
  /** The position after this step. */
  readonly after: DataPosition;
  /** Whether this is the epoch's last step. */
  readonly endsEpoch: boolean;
  /** Whether nothing comes after this step. */
  readonly last: boolean;
}

interface FeedOptions {
  readonly batchSize: number;
  readonly accumulation: number;
  /** The feed ends after so many steps, or epochs, counted from `start` and from 0; Infinity: no limit. */
  readonly steps: number;
  readonly epochs: number;
  readonly start: DataPosition;
}

type Reading = Pick<StepWork, 'epoch' | 'microbatches' | 'after'> | undefined;

/**
 * Reads two steps ahead: one to know whether a step is the last of its epoch, and one more that is made into tokens while the
 * engine computes.
 */
export class StepFeed {
  private position: DataPosition;
  private stepsLeft: number;
  private current: Promise<Reading>;
  private following: Promise<Reading> | undefined;

  private constructor(
    private readonly data: TrainingData,
    private readonly options: FeedOptions,
  ) {
    this.position = options.start;
    this.stepsLeft = options.steps;
    this.current = this.read();
  }

  static async open(data: TrainingData, options: FeedOptions): Promise<StepFeed> {
    await data.seek(options.start.epoch, options.start.index);
    return new StepFeed(data, options);
  }

  /** The next step's examples, fewer in the last step of an epoch; undefined at the end. */
  async next(): Promise<StepWork | undefined> {
    const work = await this.current;
    if (work === undefined) return undefined;
    this.following ??= this.read();
    const following = await this.following;
    this.current = this.following;
    this.following = this.read();
    // Whoever asks for that step hears of its error; until then nobody waits for it.
    this.following.catch(() => undefined);
    return {
      ...work,
      endsEpoch: following === undefined || following.epoch > work.epoch,
      last: following === undefined,
    };
  }

  /** Lets a reading that is under way come to its end. */
  async close(): Promise<void> {
    await Promise.allSettled([this.current, this.following]);
  }

  private async read(): Promise<Reading> {
    if (this.stepsLeft <= 0) return undefined;
    // Twice: at the end of an epoch the first reading finds nothing.
    for (let attempt = 0; attempt < 2; attempt++) {
      const { epoch, index } = this.position;
      if (epoch >= this.options.epochs) return undefined;
      const examples = await this.data.next(this.options.batchSize * this.options.accumulation);
      if (examples.length > 0) {
        this.stepsLeft--;
        this.position = { epoch, index: index + examples.length };
        return { epoch, microbatches: microbatches(examples, this.options.batchSize), after: this.position };
      }
      this.position = { epoch: epoch + 1, index: 0 };
      if (epoch + 1 < this.options.epochs) await this.data.seek(epoch + 1, 0);
    }
    if (this.position.epoch >= this.options.epochs) return undefined;
    throw new LabError('the training data holds no usable example', {
      advice: 'Look at the warnings above: all records were skipped or have no loss token.',
    });
  }
}

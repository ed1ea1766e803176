import { describe, expect, it } from 'vitest';
import type { TokenizedExample } from '../../../src/core/data.js';
import type { TrainingData } from '../../../src/data/types.js';
import { StepFeed, type StepWork } from '../../../src/train/feed.js';

/** Training data of `records` examples whose tokens tell epoch and index, as `next` and `seek` promise. */
function source(records: number, breakAt = Number.POSITIVE_INFINITY): TrainingData {
  let position = { epoch: 0, index: 0 };
  const data: Pick<TrainingData, 'next' | 'seek'> = {
    async next(count) {
      const examples: TokenizedExample[] = [];
      for (; examples.length < count && position.index < records; position.index++) {
        if (position.epoch * records + position.index >= breakAt) throw new Error('bad record');
        const { epoch, index } = position;
        const tokens = Int32Array.of(epoch, index);
        examples.push({
          place: { file: 'f', index, line: index + 1 },
          tokens,
          groups: new Uint8Array(2),
          mask: new Uint8Array(2),
          truncated: 0,
        });
      }
      return examples;
    },
    async seek(epoch, index) {
      position = { epoch, index };
    },
  };
  return data as TrainingData;
}

async function collect(feed: StepFeed): Promise<StepWork[]> {
  const all: StepWork[] = [];
  for (let work = await feed.next(); work !== undefined; work = await feed.next()) all.push(work);
  return all;
}

const open = (records: number, options: Partial<Parameters<typeof StepFeed.open>[1]> = {}) =>
  StepFeed.open(source(records), {
    batchSize: 2,
    accumulation: 2,
    steps: Number.POSITIVE_INFINITY,
    epochs: Number.POSITIVE_INFINITY,
    start: { epoch: 0, index: 0 },
    ...options,
  });

const seen = (work: StepWork) => work.microbatches.map((batch) => batch.map(({ tokens }) => [...tokens].join(':')));

describe('StepFeed', () => {
  it('gives microbatches a step at a time; what is left of an epoch is a step too', async () => {
    const works = await collect(await open(7, { epochs: 2 }));
    expect(works.map(seen)).toEqual([
      [
        ['0:0', '0:1'],
        ['0:2', '0:3'],
      ],
      [['0:4', '0:5'], ['0:6']],
      [
        ['1:0', '1:1'],
        ['1:2', '1:3'],
      ],
      [['1:4', '1:5'], ['1:6']],
    ]);
    expect(works.map(({ endsEpoch }) => endsEpoch)).toEqual([false, true, false, true]);
    expect(works.map(({ last }) => last)).toEqual([false, false, false, true]);
    expect(works[1]?.after).toEqual({ epoch: 0, index: 7 });
  });

  it('knows the end of an epoch that is a whole number of steps', async () => {
    const works = await collect(await open(8, { steps: 3 }));
    expect(works.map(({ endsEpoch, last }) => [endsEpoch, last])).toEqual([
      [false, false],
      [true, false],
      [true, true],
    ]);
  });

  it('goes on from any position exactly as if it had not stopped', async () => {
    const whole = await collect(await open(7, { steps: 6 }));
    for (let cut = 1; cut < whole.length; cut++) {
      const start = whole[cut - 1]?.after ?? { epoch: 0, index: 0 };
      const rest = await collect(await open(7, { steps: 6 - cut, start }));
      expect(rest).toEqual(whole.slice(cut));
    }
  });

  it('ends without steps, and says when there is no data', async () => {
    expect(await collect(await open(7, { steps: 0 }))).toEqual([]);
    await expect(collect(await open(0))).rejects.toThrow('no usable example');
    await expect(collect(await open(0, { epochs: 3 }))).rejects.toThrow('no usable example');
  });

  it('passes on an error of the data, once the steps before are done', async () => {
    const feed = await StepFeed.open(source(100, 9), {
      batchSize: 2,
      accumulation: 1,
      steps: 50,
      epochs: 1,
      start: { epoch: 0, index: 0 },
    });
    await feed.next();
    await expect(collect(feed)).rejects.toThrow('bad record');
    await feed.close();
  });
});

import { describe, expect, it } from 'vitest';
import { isDue, learningRateAt, planSteps } from '../../../src/train/schedule.js';

const config = {
  per_device_train_batch_size: 4,
  gradient_accumulation_steps: 2,
  num_train_epochs: 3,
  max_steps: -1,
  warmup_steps: 0,
  warmup_ratio: 0,
};

describe('planSteps', () => {
  it.each([
    // records, steps an epoch: as Trainer.set_initial_training_values, partial accumulation included
    [1, 1],
    [8, 1],
    [9, 2],
    [16, 2],
    [17, 3],
    [21, 3],
  ])('%i records make %i steps an epoch', (records, steps) => {
    expect(planSteps(config, records, true)).toMatchObject({ stepsPerEpoch: steps, totalSteps: 3 * steps });
  });

  it('rounds parts of an epoch up, but not rounding errors', () => {
    expect(planSteps({ ...config, num_train_epochs: 0.5 }, 24, true).totalSteps).toBe(2);
    expect(planSteps({ ...config, num_train_epochs: 0.1 }, 240, true).totalSteps).toBe(3);
  });

  it('lets max_steps win', () => {
    expect(planSteps({ ...config, max_steps: 5 }, 1000, true)).toMatchObject({ totalSteps: 5, exact: true });
    expect(planSteps({ ...config, max_steps: 5 }, 1000, false)).toMatchObject({
      totalSteps: 5,
      exact: true,
      epochs: Infinity,
    });
  });

  it('ends by epochs while the number of records is an estimate', () => {
    expect(planSteps(config, 80, false)).toMatchObject({ exact: false, epochs: 3, totalSteps: 30 });
  });

  it('warms up by steps before ratio', () => {
    expect(planSteps({ ...config, warmup_ratio: 0.1 }, 160, true).warmupSteps).toBe(6);
    expect(planSteps({ ...config, warmup_ratio: 0.1, warmup_steps: 2 }, 160, true).warmupSteps).toBe(2);
  });
});

describe('learningRateAt', () => {
  const rates = (type: 'constant' | 'constant_with_warmup' | 'linear' | 'cosine', warmupSteps: number) =>
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((step) =>
      learningRateAt({ learning_rate: 1, lr_scheduler_type: type }, { totalSteps: 10, warmupSteps }, step),
    );

  it('is what transformers.get_scheduler gives', () => {
    // get_scheduler(type, optimizer, num_warmup_steps=2 or 0, num_training_steps=10), rate at each optimizer.step().
    const close = (got: number[], wanted: number[]) => {
      for (const [i, rate] of got.entries()) expect(rate).toBeCloseTo(wanted[i] ?? Number.NaN, 12);
    };
    close(rates('constant', 2), [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
    close(rates('constant_with_warmup', 2), [0, 0.5, 1, 1, 1, 1, 1, 1, 1, 1]);
    close(rates('linear', 2), [0, 0.5, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]);
    close(rates('linear', 0), [1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]);
    close(
      rates('cosine', 2),
      [
        0, 0.5, 1, 0.9619397662556434, 0.8535533905932737, 0.6913417161825449, 0.5, 0.3086582838174552,
        0.14644660940672627, 0.03806023374435663,
      ],
    );
  });

  it('stays at nothing after the planned end', () => {
    const at = (type: 'linear' | 'cosine') =>
      learningRateAt({ learning_rate: 1, lr_scheduler_type: type }, { totalSteps: 10, warmupSteps: 0 }, 15);
    expect([at('linear'), at('cosine')]).toEqual([0, 0]);
  });
});

describe('isDue', () => {
  const inside = { endsEpoch: false, last: false };
  it('goes by steps, by epochs, and at the end', () => {
    expect([1, 2, 3, 4].filter((step) => isDue('steps', 2, step, inside))).toEqual([2, 4]);
    expect(isDue('epoch', undefined, 3, { endsEpoch: true, last: false })).toBe(true);
    expect(isDue('epoch', undefined, 3, inside)).toBe(false);
    expect(isDue('steps', 100, 3, { endsEpoch: true, last: true })).toBe(true);
    expect(isDue('no', 1, 1, { endsEpoch: true, last: true })).toBe(false);
  });
});

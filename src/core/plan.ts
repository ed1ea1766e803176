/** How many steps a run has: as Hugging Face's Trainer counts them. */

import type { RunConfig } from './config.js';

export interface Plan {
  readonly stepsPerEpoch: number;
  readonly totalSteps: number;
  readonly warmupSteps: number;
  /** False: `totalSteps` comes from an estimate, and the run ends by its epochs. */
  readonly exact: boolean;
  /** Epochs after which the run ends; Infinity where steps end it. */
  readonly epochs: number;
}

type PlanOptions = Pick<
  RunConfig,
  | 'per_device_train_batch_size'
  | 'gradient_accumulation_steps'
  | 'num_train_epochs'
  | 'max_steps'
  | 'warmup_steps'
  | 'warmup_ratio'
>;

/**
 * @param records training examples of an epoch
 * @param exact whether that number is known, or estimated
 */
export function planSteps(config: PlanOptions, records: number, exact: boolean): Plan {
  const microbatches = Math.ceil(records / config.per_device_train_batch_size);
  // What is left at the end of an epoch is a step too.
  const stepsPerEpoch = Math.max(1, Math.ceil(microbatches / config.gradient_accumulation_steps));
  const limited = config.max_steps > 0;
  // The small margin keeps 0.1 × 30 epochs from becoming 4 steps.
  const totalSteps = limited
    ? config.max_steps
    : Math.max(1, Math.ceil(config.num_train_epochs * stepsPerEpoch - 1e-9));
  const warmupSteps =
    config.warmup_steps > 0 ? config.warmup_steps : Math.ceil(totalSteps * config.warmup_ratio - 1e-9);
  return {
    stepsPerEpoch,
    totalSteps,
    warmupSteps,
    exact: exact || limited,
    epochs: exact || limited ? Number.POSITIVE_INFINITY : Math.ceil(config.num_train_epochs),
  };
}

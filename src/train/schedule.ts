/** How many steps a run has, and the learning rate of each: as Hugging Face's Trainer computes them. */

import type { ResolvedConfig } from '../core/config.js';

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
  ResolvedConfig,
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

/**
 * Learning rate of a step.
 *
 * @param step from 0; with warm-up, step 0 has rate 0 (as `get_linear_schedule_with_warmup` and its sisters)
 */
export function learningRateAt(
  config: Pick<ResolvedConfig, 'learning_rate' | 'lr_scheduler_type'>,
  plan: Pick<Plan, 'totalSteps' | 'warmupSteps'>,
  step: number,
): number {
  return config.learning_rate * factor(config.lr_scheduler_type, plan, step);
}

function factor(
  type: ResolvedConfig['lr_scheduler_type'],
  { totalSteps, warmupSteps }: Pick<Plan, 'totalSteps' | 'warmupSteps'>,
  step: number,
): number {
  if (type === 'constant') return 1;
  if (step < warmupSteps) return step / Math.max(1, warmupSteps);
  const decaySteps = Math.max(1, totalSteps - warmupSteps);
  switch (type) {
    case 'constant_with_warmup':
      return 1;
    case 'linear':
      return Math.max(0, (totalSteps - step) / decaySteps);
    case 'cosine':
      return Math.max(0, 0.5 * (1 + Math.cos(Math.PI * Math.min(1, (step - warmupSteps) / decaySteps))));
  }
}

/** Whether an evaluation or a checkpoint is due after a step. Both strategies include the end of the run. */
export function isDue(
  strategy: 'no' | 'steps' | 'epoch',
  every: number | undefined,
  step: number,
  at: { readonly endsEpoch: boolean; readonly last: boolean },
): boolean {
  if (strategy === 'no') return false;
  if (at.last) return true;
  return strategy === 'epoch' ? at.endsEpoch : step % (every ?? 1) === 0;
}

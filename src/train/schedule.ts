/** The learning rate of each step, as Hugging Face's Trainer computes it, and when to evaluate and save. */

import type { ResolvedConfig } from '../core/config.js';
import type { Plan } from '../core/plan.js';

export { type Plan, planSteps } from '../core/plan.js';

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

/** The largest of everything that a run will ask of its model: what its memory is planned by. */

import type { TrainingData } from '../data/types.js';
import type { BatchShape, Work } from '../engine/types.js';
import { answerLimit } from './answers.js';
import { type EvaluationCut, evaluationBatches, tokensIn } from './batching.js';
import type { ModelNeeds } from './open-model.js';
import { planSteps } from './schedule.js';

const nothing: BatchShape = { tokens: 0, longest: 0, trained: 0, measured: 0 };

/** Of the microbatches as the config cuts them. */
export async function trainingWork({ config, info }: ModelNeeds, data: TrainingData): Promise<BatchShape> {
  if (info.kind === 'baseline') return nothing;
  const { records, exact } = data.report.train;
  const { totalSteps, stepsPerEpoch } = planSteps(config, records, exact);
  // Every epoch has batches of its own, and `max_steps` may go through more of them than `num_train_epochs` says.
  const most = await data.largest(
    config.per_device_train_batch_size,
    Math.ceil(totalSteps / Math.max(1, stepsPerEpoch)),
  );
  return { ...most, measured: config.prompt_loss_steps > 0 ? most.tokens - most.trained : 0 };
}

/** What a microbatch may become where small ones of a step are joined up to so many tokens. */
export function joinedWork({ config }: ModelNeeds, one: BatchShape, joined: number): BatchShape {
  const all = (most: number): number =>
    Math.min(most * config.gradient_accumulation_steps, Math.max(one.tokens, joined));
  return { tokens: all(one.tokens), longest: one.longest, trained: all(one.trained), measured: all(one.measured) };
}

export function evaluationWork(
  { config, info }: ModelNeeds,
  data: TrainingData,
  cut: EvaluationCut,
): Omit<Work, 'training'> {
  if (config.eval_strategy === 'no' && !config.eval_on_start && info.kind !== 'baseline') {
    return { evaluation: nothing, prompts: 0, promptLength: 0, newTokens: 0 };
  }
  let [tokens, longest, prompts, promptLength, newTokens] = [0, 0, 0, 0, 0];
  for (const set of data.evaluation) {
    for (const batch of evaluationBatches(set.examples, cut)) {
      tokens = Math.max(tokens, tokensIn(batch));
      for (const example of batch) longest = Math.max(longest, example.tokens.length);
    }
    prompts = Math.max(prompts, Math.min(set.prompts.length, cut.answers));
    for (const { prompt } of set.prompts) promptLength = Math.max(promptLength, prompt.length);
    newTokens = Math.max(newTokens, config.eval_max_new_tokens ?? answerLimit(set));
  }
  return { evaluation: { tokens, longest, trained: 0, measured: tokens }, prompts, promptLength, newTokens };
}

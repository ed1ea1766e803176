/** Sums between two points of the training curves. */

import * as z from 'zod';
import type { BodyOf } from '../core/events.js';
import type { BatchStats, GroupStats } from '../engine/types.js';

const groupSchema = z.object({ tokens: z.number(), loss: z.number(), entropy: z.number(), correct: z.number() });

/** Part of a checkpoint's state: a run that resumes between two points logs the same point. */
export const windowSchema = z.object({
  weightedLoss: z.number(),
  weight: z.number(),
  prompt: groupSchema,
  completion: groupSchema,
});
export type LossWindow = z.infer<typeof windowSchema>;

const noTokens: GroupStats = { tokens: 0, loss: 0, entropy: 0, correct: 0 };

export function emptyWindow(): LossWindow {
  return { weightedLoss: 0, weight: 0, prompt: { ...noTokens }, completion: { ...noTokens } };
}

export function addStats(window: LossWindow, stats: BatchStats): LossWindow {
  return {
    weightedLoss: window.weightedLoss + stats.weightedLoss,
    weight: window.weight + stats.weight,
    prompt: addGroup(window.prompt, stats.prompt),
    completion: addGroup(window.completion, stats.completion),
  };
}

export function addGroup(a: GroupStats, b: GroupStats): GroupStats {
  return {
    tokens: a.tokens + b.tokens,
    loss: a.loss + b.loss,
    entropy: a.entropy + b.entropy,
    correct: a.correct + b.correct,
  };
}

export type LossFigures = Pick<BodyOf<'train'>, 'promptLoss' | 'completionLoss' | 'tokenAccuracy' | 'entropy'>;

/** Means of two groups' sums; accuracy and entropy over completions, over all where there are none. */
export function lossFigures(prompt: GroupStats, completion: GroupStats): LossFigures {
  const measured = completion.tokens > 0 ? completion : prompt;
  return {
    promptLoss: mean(prompt.loss, prompt.tokens),
    completionLoss: mean(completion.loss, completion.tokens),
    tokenAccuracy: mean(measured.correct, measured.tokens),
    entropy: mean(measured.entropy, measured.tokens),
  };
}

/** What a window has come to. */
export function windowFigures({
  weight,
  weightedLoss,
  prompt,
  completion,
}: LossWindow): LossFigures & Pick<BodyOf<'train'>, 'loss' | 'lossTokens'> {
  return { lossTokens: weight, loss: weight > 0 ? weightedLoss / weight : 0, ...lossFigures(prompt, completion) };
}

export function mean(sum: number, count: number): number | null {
  return count > 0 && Number.isFinite(sum) ? sum / count : null;
}

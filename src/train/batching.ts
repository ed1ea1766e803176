/** Examples to the engine's flat batches, without padding. */

import { TokenGroup, type TokenizedExample } from '../core/data.js';
import type { Batch } from '../engine/types.js';

/** What a batch measures beside what it trains on. */
export type Measure = 'completions' | 'everything';

/**
 * Lays sequences end to end. Position i predicts token i + 1 of its sequence, so mask and groups move one to the left, and the
 * last position of a sequence predicts nothing.
 *
 * @param measure `everything`: the loss of prompt tokens is measured even where they are not trained on, which costs their rows
 * of the vocabulary projection; `completions`: they are left out
 */
export function toBatch(examples: readonly TokenizedExample[], measure: Measure): Batch {
  const size = tokensIn(examples);
  const tokens = new Int32Array(size);
  const targets = new Int32Array(size);
  const weights = new Float32Array(size);
  const groups = new Uint8Array(size);
  const offsets = new Int32Array(examples.length + 1);
  let start = 0;
  examples.forEach((example, sequence) => {
    const length = example.tokens.length;
    tokens.set(example.tokens, start);
    targets.set(example.tokens.subarray(1), start);
    for (let i = 1; i < length; i++) {
      const trained = example.mask[i] === 1;
      const group = example.groups[i] ?? TokenGroup.none;
      weights[start + i - 1] = trained ? 1 : 0;
      groups[start + i - 1] =
        trained || measure === 'everything' || group === TokenGroup.completion ? group : TokenGroup.none;
    }
    start += length;
    offsets[sequence + 1] = start;
  });
  return { tokens, offsets, targets, weights, groups };
}

/** How much of an evaluation is computed at a time. */
export interface EvaluationCut {
  /** Sequences whose loss is measured at a time, and tokens up to which small pieces are joined. */
  readonly batch: number;
  readonly joined: number;
  /** Prompts answered at a time. */
  readonly answers: number;
}

/** Cuts a step's examples into microbatches; the last may be smaller. */
export function microbatches<T>(examples: readonly T[], size: number): T[][] {
  const batches: T[][] = [];
  for (let start = 0; start < examples.length; start += size) batches.push(examples.slice(start, start + size));
  return batches;
}

/**
 * Joins neighbours as long as they have at most `most` tokens together. Gradients are sums, and nothing is padded: that changes their
 * rounding alone, and large batches are computed sooner than many small ones.
 */
export function joinedMicrobatches(
  batches: readonly (readonly TokenizedExample[])[],
  most: number,
): TokenizedExample[][] {
  const joined: TokenizedExample[][] = [];
  let tokens = 0;
  for (const batch of batches) {
    const more = tokensIn(batch);
    const last = joined.at(-1);
    if (last !== undefined && tokens + more <= most) {
      last.push(...batch);
      tokens += more;
    } else {
      joined.push([...batch]);
      tokens = more;
    }
  }
  return joined;
}

/** An evaluation set's examples as they are measured. */
export function evaluationBatches(
  examples: readonly TokenizedExample[],
  { batch, joined }: EvaluationCut,
): TokenizedExample[][] {
  return joinedMicrobatches(microbatches(examples, batch), joined);
}

export function tokensIn(examples: readonly TokenizedExample[]): number {
  return examples.reduce((sum, { tokens }) => sum + tokens.length, 0);
}

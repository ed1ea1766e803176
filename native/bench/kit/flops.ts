/** Useful arithmetic of training: what the mathematics asks for, whatever a program computes beyond it. */

import type { ModelShape } from './model.js';
import type { RecordSize } from './records.js';

/** Parameters of the layers' matrices: the head, the embedding (a look-up) and norms are left out. */
export function blockParameters({ hidden, layers, heads, kvHeads, intermediate }: ModelShape): number {
  const kv = (hidden / heads) * kvHeads;
  return layers * (2 * hidden * hidden + 2 * hidden * kv + 3 * hidden * intermediate);
}

/**
 * FLOP of forward and backward: 6 for each parameter and token, 4 with LoRA, where frozen weights get no gradient. The head
 * counts for the tokens that are trained on alone. Attention's products and recomputation never count.
 */
export function usefulFlops(shape: ModelShape, { tokens, lossTokens }: RecordSize, method: 'full' | 'lora'): number {
  const each = method === 'full' ? 6 : 4;
  return each * (blockParameters(shape) * tokens + shape.hidden * shape.vocabulary * lossTokens);
}

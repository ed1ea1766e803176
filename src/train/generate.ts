/** Many prompts answered at a time, each as it would be alone. */

import type { Generated, GenerateOptions, Model } from '../engine/types.js';

/** Prompts at a time that keep a device busy. */
export function busyAnswers(device: string): number {
  return device === 'cpu' ? 32 : 64;
}

/**
 * A long prompt shortens no other's answer, and each draws by a seed of its own. Undefined where a prompt fills the model's whole context.
 *
 * @param seeds one for each prompt
 */
export async function generateEach(
  model: Model,
  prompts: readonly Int32Array[],
  seeds: readonly number[],
  options: Omit<GenerateOptions, 'seed' | 'seeds'>,
): Promise<(Generated | undefined)[]> {
  const answers: (Generated | undefined)[] = prompts.map(() => undefined);
  const byLimit = new Map<number, number[]>();
  for (const [i, prompt] of prompts.entries()) {
    const limit = Math.min(options.maxNewTokens, model.info.maxPositions - prompt.length);
    if (limit > 0) byLimit.set(limit, [...(byLimit.get(limit) ?? []), i]);
  }
  for (const [maxNewTokens, places] of byLimit) {
    const generated = await model.generate(
      places.flatMap((i) => prompts[i] ?? []),
      { ...options, maxNewTokens, seed: 0, seeds: places.flatMap((i) => seeds[i] ?? []) },
    );
    for (const [at, i] of places.entries()) answers[i] = generated[at];
  }
  return answers;
}

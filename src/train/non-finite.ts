/** A loss that is not a number: which examples, and what to do. */

import type { TokenizedExample } from '../core/data.js';
import { LabError } from '../core/errors.js';
import type { Model } from '../engine/types.js';
import { toBatch } from './batching.js';

/** Looks at each example of a step alone, forward only: in a batch the sum hides which one it was. */
export async function nonFiniteError(
  model: Model,
  examples: readonly TokenizedExample[],
  step: number,
  lastCheckpoint: string | undefined,
): Promise<LabError> {
  const broken: TokenizedExample[] = [];
  for (const example of examples) {
    if (!(await isFiniteOn(model, [example]))) broken.push(example);
  }
  const named = (broken.length > 0 ? broken : examples).slice(0, 10).map(({ place }) => `${place.file}:${place.line}`);
  const first = (broken[0] ?? examples[0])?.place;
  const cause =
    broken.length === 0
      ? 'The gradient is not finite while each loss is'
      : broken.length === examples.length
        ? 'It is not finite on any example of the step, so the weights are broken'
        : `It is not finite on ${broken.length} of the step's ${examples.length} examples`;
  const kept =
    lastCheckpoint === undefined ? 'No checkpoint had been written.' : `The last good checkpoint is ${lastCheckpoint}.`;
  return new LabError(`the loss is not finite at step ${step}`, {
    ...(first === undefined ? {} : { place: { file: first.file, line: first.line } }),
    advice: `${cause}: ${named.join(', ')}. Lower learning_rate, or look at these records. ${kept}`,
  });
}

export async function isFiniteOn(model: Model, examples: readonly TokenizedExample[]): Promise<boolean> {
  const { loss } = await model.evaluate(toBatch(examples, 'completions'));
  return loss.every(Number.isFinite);
}

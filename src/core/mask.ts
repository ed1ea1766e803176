/** The loss mask, in one place: for the trainer, and for previews that change it without tokenising again. */

export type LossOn = 'completion' | 'all';

/** Whether a token is trained on. The first token of a sequence is predicted by nothing. */
export function hasLoss(index: number, completion: boolean, lossOn: LossOn): boolean {
  return index > 0 && (completion || lossOn === 'all');
}

/**
 * Tokens with a loss among the first `maxLength` of a sequence.
 *
 * @param runs lengths of prompt and completion parts in turn, beginning with a prompt's (which may be 0)
 * @param from where in `runs` the sequence's first part stands, and `to` where its last one ended
 */
export function countLoss(
  runs: ArrayLike<number>,
  lossOn: LossOn,
  maxLength: number,
  from = 0,
  to = runs.length,
): number {
  let at = 0;
  let count = 0;
  for (let i = from; i < to && at < maxLength; i++) {
    const end = Math.min(maxLength, at + (runs[i] ?? 0));
    if (hasLoss(1, (i - from) % 2 === 1, lossOn)) count += Math.max(0, end - Math.max(at, 1));
    at = end;
  }
  return count;
}

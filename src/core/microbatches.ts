/** How a step's examples are cut into what the engine computes at a time. */

/** Cuts into pieces of `size`; the last may be smaller. */
export function microbatches<T>(examples: readonly T[], size: number): T[][] {
  const batches: T[][] = [];
  for (let start = 0; start < examples.length; start += size) batches.push(examples.slice(start, start + size));
  return batches;
}

/**
 * Joins neighbours as long as they have at most `most` tokens together. Gradients are sums, and nothing is padded: that changes their
 * rounding alone, and large batches are computed sooner than many small ones.
 */
export function joinSmall<T>(
  batches: readonly T[],
  most: number,
  tokensOf: (batch: T) => number,
  join: (a: T, b: T) => T,
): T[] {
  const joined: T[] = [];
  let tokens = Number.POSITIVE_INFINITY;
  for (const batch of batches) {
    const more = tokensOf(batch);
    const last = joined.at(-1);
    if (last !== undefined && tokens + more <= most) {
      joined[joined.length - 1] = join(last, batch);
      tokens += more;
    } else {
      joined.push(batch);
      tokens = more;
    }
  }
  return joined;
}

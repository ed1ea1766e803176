/** Counts of lengths in bins that grow by a quarter of a power of two: any range, few bins, the same for every file. */

export const lengthBins = 160;

/** 0 for 0, and from there on four bins to each doubling. */
export function lengthBin(length: number): number {
  if (length <= 0) return 0;
  return Math.min(lengthBins - 1, 1 + Math.floor(4 * Math.log2(length)));
}

/** The least length of a bin. */
export function binStart(bin: number): number {
  return bin === 0 ? 0 : Math.ceil(2 ** ((bin - 1) / 4));
}

/** The length that a share of all lengths is not above, to the bin. */
export function quantile(bins: ArrayLike<number>, share: number): number {
  let total = 0;
  for (let i = 0; i < bins.length; i++) total += bins[i] ?? 0;
  let seen = 0;
  for (let i = 0; i < bins.length; i++) {
    seen += bins[i] ?? 0;
    if (seen >= total * share && seen > 0) return Math.max(0, binStart(i + 1) - 1);
  }
  return 0;
}

/** A curve as the few points that a drawing of a given width can show. */

import { lowerBound } from './columns.js';
import type { Pyramid } from './pyramid.js';

export interface Window {
  /** The x values at the left and right edge. */
  readonly from: number;
  readonly to: number;
  /** Pixels between them. */
  readonly width: number;
}

/**
 * Writes a polyline into `out` as pairs of pixel (from the left edge) and value: every point where there is at most one a
 * pixel, else the extremes of each pixel's points. One point beyond each edge is included, so that curves run off the drawing.
 * A pair with a value that is NaN is a gap.
 *
 * @param x ascending
 * @param out room for `4 * width + 16` pairs
 * @returns how many pairs
 */
export function trace(x: Float32Array, pyramid: Pyramid, { from, to, width }: Window, out: Float32Array): number {
  const count = pyramid.length;
  if (count === 0 || width <= 0) return 0;
  const scale = to > from ? width / (to - from) : 0;
  const first = Math.max(0, lowerBound(x, count, from) - 1);
  const last = Math.min(count - 1, lowerBound(x, count, to));
  const points = last - first + 1;
  const { size, min, max } = pyramid.at(points / width);
  let pairs = 0;
  if (size === 1 && points <= 2 * width) {
    for (let i = first; i <= last; i++, pairs++) {
      out[2 * pairs] = ((x[i] as number) - from) * scale;
      out[2 * pairs + 1] = min[i] as number;
    }
    return pairs;
  }
  const limit = out.length / 2 - 3;
  const lastStretch = Math.floor(last / size);
  let end = Number.NaN;
  for (let i = Math.floor(first / size); i <= lastStretch && pairs < limit; ) {
    const pixel = Math.floor(((x[i * size] as number) - from) * scale);
    let low = Infinity;
    let high = -Infinity;
    do {
      const a = min[i] as number;
      const b = max[i] as number;
      if (a < low) low = a;
      if (b > high) high = b;
      i++;
    } while (i <= lastStretch && Math.floor(((x[i * size] as number) - from) * scale) === pixel);
    if (!(low <= high)) continue;
    // The extreme nearer to where the line stands comes first.
    const rising = !(Math.abs(high - end) < Math.abs(low - end));
    end = rising ? high : low;
    out[2 * pairs] = pixel;
    out[2 * pairs + 1] = rising ? low : high;
    pairs++;
    if (low === high) continue;
    out[2 * pairs] = pixel;
    out[2 * pairs + 1] = end;
    pairs++;
  }
  return pairs;
}

/**
 * Minimum and maximum of every stretch of a curve, at stretches of 8, 64, 512, … points: what a chart needs to draw a million
 * points in the time of the few thousand that there are pixels for. No extreme is ever lost.
 */

const fan = 8;

interface Level {
  min: Float32Array;
  max: Float32Array;
}

export class Pyramid {
  private values: Float32Array = new Float32Array();
  private count = 0;
  private levels: Level[] = [];

  get length(): number {
    return this.count;
  }

  /** Takes the first `count` values; those before `from` are as they were. NaN is no value. */
  update(values: Float32Array, count: number, from = 0): void {
    this.values = values;
    this.count = count;
    let start = Math.min(from, count);
    let below = count;
    let depth = 0;
    while (below > fan) {
      const size = Math.ceil(below / fan);
      // A level that is there for the first time has nothing to keep.
      start = this.levels[depth] === undefined ? 0 : Math.floor(start / fan);
      const level = this.level(depth, size, start);
      if (depth === 0) reduce(values, values, below, level, start, size);
      else {
        const under = this.levels[depth - 1];
        if (under !== undefined) reduce(under.min, under.max, below, level, start, size);
      }
      below = size;
      depth++;
    }
    this.levels.length = depth;
  }

  /** Least and greatest value from one index to before another; both NaN where there is none. */
  range(from: number, to: number): { min: number; max: number } {
    let min = Infinity;
    let max = -Infinity;
    const take = (low: Float32Array, high: Float32Array, index: number): void => {
      const a = low[index] ?? Number.NaN;
      const b = high[index] ?? Number.NaN;
      if (a < min) min = a;
      if (b > max) max = b;
    };
    let start = Math.max(0, from);
    let end = Math.min(this.count, to);
    let low = this.values;
    let high = this.values;
    // Ragged ends at this level, the middle at the next: as in a segment tree.
    for (let depth = 0; start < end; depth++) {
      const next = this.levels[depth];
      if (next === undefined) {
        for (; start < end; start++) take(low, high, start);
        break;
      }
      while (start < end && start % fan !== 0) take(low, high, start++);
      while (start < end && end % fan !== 0) take(low, high, --end);
      start /= fan;
      end /= fan;
      low = next.min;
      high = next.max;
    }
    return min <= max ? { min, max } : { min: Number.NaN, max: Number.NaN };
  }

  /**
   * The coarsest level whose stretches are no longer than `points`.
   *
   * @returns `size` points a stretch; stretch `i` covers the points from `i * size`
   */
  at(points: number): { size: number; min: Float32Array; max: Float32Array } {
    let size = 1;
    let depth = -1;
    while (size * fan <= points && depth + 1 < this.levels.length) {
      size *= fan;
      depth++;
    }
    const level = this.levels[depth];
    return level === undefined
      ? { size: 1, min: this.values, max: this.values }
      : { size, min: level.min, max: level.max };
  }

  private level(depth: number, size: number, kept: number): Level {
    const before = this.levels[depth];
    if (before !== undefined && before.min.length >= size) return before;
    const room = before === undefined ? size : Math.max(size, 2 * before.min.length);
    const level = { min: new Float32Array(room), max: new Float32Array(room) };
    if (before !== undefined && kept > 0) {
      level.min.set(before.min.subarray(0, kept));
      level.max.set(before.max.subarray(0, kept));
    }
    this.levels[depth] = level;
    return level;
  }
}

/** Comparisons alone: they are false for NaN, which so is passed over. */
function reduce(low: Float32Array, high: Float32Array, count: number, into: Level, start: number, end: number): void {
  const { min, max } = into;
  for (let i = start; i < end; i++) {
    const last = Math.min(count, (i + 1) * fan);
    let least = Infinity;
    let greatest = -Infinity;
    for (let j = i * fan; j < last; j++) {
      const a = low[j] as number;
      const b = high[j] as number;
      if (a < least) least = a;
      if (b > greatest) greatest = b;
    }
    min[i] = least;
    max[i] = greatest;
  }
}

/** Mass from which on the start no longer shows in 32 bits. */
const settled = 1 - 1e-9;

/**
 * Exponential moving average without the start's bias towards 0 (as Adam corrects its moments), continued from `from`.
 *
 * @param weight of what came before: 0 changes nothing
 * @param into as long as the values, at least `count`
 */
export class Smoother {
  private sum = 0;
  private mass = 0;
  private done = 0;

  constructor(readonly weight: number) {}

  run(values: Float32Array, count: number, into: Float32Array): void {
    const share = 1 - this.weight;
    let { sum, mass } = this;
    for (let i = this.done; i < count; i++) {
      const value = values[i] as number;
      if (!Number.isNaN(value)) {
        sum += share * (value - sum);
        if (mass < settled) mass += share * (1 - mass);
      }
      into[i] = mass >= settled ? sum : mass > 0 ? sum / mass : Number.NaN;
    }
    this.sum = sum;
    this.mass = mass;
    this.done = count;
  }
}

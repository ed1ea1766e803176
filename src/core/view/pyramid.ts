/**
 * Minimum and maximum of every stretch of a curve, at stretches of 8, 64, 512, … points: what a chart needs to draw a million
 * points in the time of the few thousand that there are pixels for. No extreme is ever lost.
 *
 * Of noise no processor guesses whether a value is the least so far, and a wrong guess costs more than ten values. Numbers that
 * are not below 0 stand in the order of their bits, and of these integers the lesser one comes without a branch, from the sign
 * of their difference. A stretch with a number below 0 or with NaN is done again by comparing.
 */

const fan = 8;

/** Stretches of `size` points; the first `valid` ones are as the points are. */
interface Level {
  readonly size: number;
  min: Float32Array;
  max: Float32Array;
  valid: number;
}

export class Pyramid {
  private values: Float32Array = new Float32Array();
  private count = 0;
  /** In ascending order; those alone that were asked for: the first drawing of a long curve needs one. */
  private levels: readonly Level[] = [];
  /** Of the range that is being looked at. */
  private least = Infinity;
  private greatest = -Infinity;

  get length(): number {
    return this.count;
  }

  /** Takes the first `count` values; those before `from` are as they were. NaN is no value. */
  update(values: Float32Array, count: number, from = 0): void {
    this.values = values;
    this.count = count;
    for (const level of this.levels) level.valid = Math.min(level.valid, Math.floor(from / level.size));
  }

  /** Least and greatest value from one index to before another; both NaN where there is none. */
  range(from: number, to: number): { min: number; max: number } {
    this.least = Infinity;
    this.greatest = -Infinity;
    let start = Math.max(0, from);
    let end = Math.min(this.count, to);
    let low = this.values;
    let high = this.values;
    let unit = 1;
    this.at((end - start) / fan ** 3);
    // Ragged ends at this level, the middle at the next: as in a segment tree.
    for (const level of this.levels) {
      const step = level.size / unit;
      const first = Math.ceil(start / step);
      const last = Math.floor(end / step);
      if (first >= last) break;
      this.take(low, high, start, first * step);
      this.take(low, high, last * step, end);
      this.refresh(level);
      unit = level.size;
      start = first;
      end = last;
      low = level.min;
      high = level.max;
    }
    this.take(low, high, start, end);
    const { least: min, greatest: max } = this;
    return min <= max ? { min, max } : { min: Number.NaN, max: Number.NaN };
  }

  private take(low: Float32Array, high: Float32Array, start: number, end: number): void {
    let { least, greatest } = this;
    for (let i = start; i < end; i++) {
      const a = low[i] as number;
      const b = high[i] as number;
      if (a < least) least = a;
      if (b > greatest) greatest = b;
    }
    this.least = least;
    this.greatest = greatest;
  }

  /**
   * The coarsest level whose stretches are no longer than `points`.
   *
   * @returns `size` points a stretch; stretch `i` covers the points from `i * size`
   */
  at(points: number): { size: number; min: Float32Array; max: Float32Array } {
    let size = 1;
    while (size * fan <= points && size * fan < this.count) size *= fan;
    if (size === 1) return { size, min: this.values, max: this.values };
    let level = this.levels.find((one) => one.size === size);
    if (level === undefined) {
      level = { size, min: new Float32Array(), max: new Float32Array(), valid: 0 };
      this.levels = [...this.levels, level].sort((a, b) => a.size - b.size);
    }
    this.refresh(level);
    return level;
  }

  /** Makes the finest level; out of it, all others come fast. */
  complete(): void {
    this.at(fan);
  }

  /** Brings a level up to date, out of the next finer one that is there. */
  private refresh(level: Level): void {
    const { size } = level;
    const stretches = Math.ceil(this.count / size);
    if (level.valid >= stretches) return;
    if (level.min.length < stretches) {
      const room = Math.max(stretches, 2 * level.min.length);
      level.min = grown(level.min, room);
      level.max = grown(level.max, room);
    }
    const finer = this.levels[this.levels.indexOf(level) - 1];
    if (finer === undefined) reduce(this.values, this.values, this.count, size, level, stretches);
    else {
      this.refresh(finer);
      reduce(finer.min, finer.max, Math.ceil(this.count / finer.size), size / finer.size, level, stretches);
    }
    level.valid = stretches;
  }
}

function grown(before: Float32Array, room: number): Float32Array {
  const larger = new Float32Array(room);
  larger.set(before);
  return larger;
}

/** Bits of Infinity: those of NaN are greater. */
const infinity = 0x7f800000;

/** Stretches of `step` values, from the first that is not valid to before `end`. */
function reduce(low: Float32Array, high: Float32Array, count: number, step: number, into: Level, end: number): void {
  const lowBits = bitsOf(low);
  const highBits = bitsOf(high);
  const minBits = bitsOf(into.min);
  const maxBits = bitsOf(into.max);
  for (let i = into.valid; i < end; i++) {
    const last = Math.min(count, (i + 1) * step);
    let least = infinity;
    let greatest = 0;
    let odd = 0;
    for (let j = i * step; j < last; j++) {
      const a = lowBits[j] as number;
      const b = highBits[j] as number;
      odd |= a | (infinity - a) | (infinity - b);
      const below = (a - least) | 0;
      least = (least + (below & (below >> 31))) | 0;
      const above = (greatest - b) | 0;
      greatest = (greatest - (above & (above >> 31))) | 0;
    }
    minBits[i] = least;
    maxBits[i] = greatest;
    if (odd < 0) compare(low, high, i * step, last, into, i);
  }
}

/** One stretch. Comparisons with NaN are false, so that it is passed over. */
function compare(low: Float32Array, high: Float32Array, start: number, end: number, into: Level, at: number): void {
  let least = Infinity;
  let greatest = -Infinity;
  for (let j = start; j < end; j++) {
    const a = low[j] as number;
    const b = high[j] as number;
    if (a < least) least = a;
    if (b > greatest) greatest = b;
  }
  into.min[at] = least;
  into.max[at] = greatest;
}

function bitsOf(values: Float32Array): Int32Array {
  return new Int32Array(values.buffer, values.byteOffset, values.length);
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
    const { weight } = this;
    const share = 1 - weight;
    let { sum, mass, done: i } = this;
    for (; i < count && mass < settled; i++) {
      const value = values[i] as number;
      if (!Number.isNaN(value)) {
        sum = weight * sum + share * value;
        mass = weight * mass + share;
      }
      into[i] = mass > 0 ? sum / mass : Number.NaN;
    }
    for (; i < count; i++) {
      const value = values[i] as number;
      if (!Number.isNaN(value)) sum = weight * sum + share * value;
      into[i] = sum;
    }
    this.sum = sum;
    this.mass = mass;
    this.done = count;
  }
}

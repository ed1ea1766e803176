/**
 * Training points as columns of 32-bit floats, as they travel to the run panel: one `ArrayBuffer` of all columns, one after
 * the other, instead of an object a point. A figure that was not measured is NaN.
 */

import type { EventOf } from '../events.js';
import { type ChartId, charts } from './charts.js';

/** What a chart's x axis can be. `time` is seconds of training. */
export type XAxis = 'step' | 'epoch' | 'tokens' | 'time';
export const xAxes: readonly XAxis[] = ['step', 'epoch', 'tokens', 'time'];

export type Column = XAxis | ChartId;

const trained = charts.filter(({ train }) => train !== undefined);

/** The columns, in the order of the buffer. Steps beyond 2^24 lose their last digits in drawings, not in exports. */
export const columnNames: readonly Column[] = [...xAxes, ...trained.map(({ id }) => id)];

/** Packs points, columns one after the other: (columns, points). */
export function packPoints(events: readonly EventOf<'train'>[]): ArrayBuffer {
  const count = events.length;
  const packed = new Float32Array(columnNames.length * count);
  for (let i = 0; i < count; i++) {
    const event = events[i];
    if (event === undefined) continue;
    packed[i] = event.step;
    packed[count + i] = event.epoch;
    packed[2 * count + i] = event.tokens;
    packed[3 * count + i] = event.trainSeconds;
    let at = 4 * count + i;
    for (const { train } of trained) {
      packed[at] = train?.(event) ?? Number.NaN;
      at += count;
    }
  }
  return packed.buffer;
}

/** All points of a run, growing at the end. */
export class PointColumns {
  count = 0;
  private capacity = 0;
  private columns: Float32Array[] = columnNames.map(() => new Float32Array());

  /** The column, with room behind its `count` values. */
  column(name: Column): Float32Array {
    return this.columns[columnNames.indexOf(name)] ?? new Float32Array();
  }

  /**
   * Puts packed points at `from`; what stood there and behind it goes.
   *
   * @returns false where points between are missing: `from` lies behind the end
   */
  put(from: number, buffer: ArrayBuffer): boolean {
    if (from > this.count || buffer.byteLength % (4 * columnNames.length) !== 0) return false;
    const added = buffer.byteLength / 4 / columnNames.length;
    const packed = new Float32Array(buffer);
    if (from === 0) {
      // Everything at once: the buffer itself is kept, not copied.
      this.columns = columnNames.map((_, i) => packed.subarray(i * added, (i + 1) * added));
      this.capacity = added;
    } else {
      if (from + added > this.capacity) this.grow(from + added);
      for (const [i, column] of this.columns.entries()) column.set(packed.subarray(i * added, (i + 1) * added), from);
    }
    this.count = from + added;
    return true;
  }

  /** Adds one point at the end. */
  append(event: EventOf<'train'>): void {
    if (this.count === this.capacity) this.grow(this.count + 1);
    const { columns, count } = this;
    const set = (column: number, value: number): void => {
      const values = columns[column];
      if (values !== undefined) values[count] = value;
    };
    set(0, event.step);
    set(1, event.epoch);
    set(2, event.tokens);
    set(3, event.trainSeconds);
    for (let i = 0; i < trained.length; i++) set(4 + i, trained[i]?.train?.(event) ?? Number.NaN);
    this.count++;
  }

  /** Drops the points from this index on. */
  cut(count: number): void {
    this.count = Math.min(this.count, count);
  }

  /** The points from an index on, packed as `put` takes them. */
  pack(from = 0): ArrayBuffer {
    const length = this.count - from;
    const packed = new Float32Array(columnNames.length * length);
    for (const [i, column] of this.columns.entries()) packed.set(column.subarray(from, this.count), i * length);
    return packed.buffer;
  }

  /** Makes room for points to come where there is none: for a moment in which there is time. */
  reserve(): void {
    if (this.count === this.capacity) this.grow(this.count + 1);
  }

  private grow(needed: number): void {
    this.capacity = Math.max(1024, needed, 2 * this.capacity);
    this.columns = this.columns.map((column) => {
      const larger = new Float32Array(this.capacity);
      larger.set(column.subarray(0, this.count));
      return larger;
    });
  }
}

/** Index of the first value that is not below `x`, in the first `count` values of an ascending column. */
export function lowerBound(column: Float32Array, count: number, x: number): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((column[middle] ?? 0) < x) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The value of `to` where `from` is `x`: between points on a straight line, beyond them as at the end. */
export function interpolate(from: Float32Array, to: Float32Array, count: number, x: number): number {
  if (count === 0) return Number.NaN;
  const right = lowerBound(from, count, x);
  if (right === 0) {
    const first = from[0] ?? 0;
    // Everything counted begins at 0 before the first point.
    return first > 0 ? ((to[0] ?? 0) * Math.max(0, x)) / first : (to[0] ?? 0);
  }
  if (right === count) return to[count - 1] ?? 0;
  const x0 = from[right - 1] ?? 0;
  const x1 = from[right] ?? 0;
  const y0 = to[right - 1] ?? 0;
  const y1 = to[right] ?? 0;
  return x1 === x0 ? y1 : y0 + ((y1 - y0) * (x - x0)) / (x1 - x0);
}

/**
 * Curves as pixels of our own. A canvas strokes a zigzag of a thousand extremes in milliseconds, twenty of them in as many
 * frames; but curves that run from left to right need no general path: in each column of pixels a curve covers one stretch,
 * and a stretch is a loop over memory. Its ends are blended by the part of the pixel that they cover, which is all the
 * smoothing that a line needs.
 */

import type { Marker } from './curves.js';

/** A colour as the raster mixes it: parts from 0 to 255, opacity from 0 to 1. */
export interface Ink {
  readonly red: number;
  readonly green: number;
  readonly blue: number;
  readonly opacity: number;
}

/** Columns drawn and columns left out, in turn; empty: all drawn. */
export type Dash = readonly number[];

export class Raster {
  private width = 0;
  private height = 0;
  /** Pixels around the area that lines keep to; marks may stand there. */
  private margin = 0;
  /** Pixels as the machine's words, red lowest, colours times opacity. Signed: such words need no other kind of number. */
  private pixels = new Int32Array(0);
  /** Stretch that the curve being drawn covers, by column. */
  private low = new Float32Array();
  private high = new Float32Array();
  private canvas: HTMLCanvasElement | undefined;

  /** Begins an empty drawing of an area with a margin around it, in pixels of the screen. */
  begin(areaWidth: number, areaHeight: number, margin: number): void {
    const [width, height] = [areaWidth + 2 * margin, areaHeight + 2 * margin];
    this.margin = margin;
    if (width === this.width && height === this.height) {
      this.pixels.fill(0);
      return;
    }
    this.width = width;
    this.height = height;
    this.pixels = new Int32Array(width * height);
    this.low = new Float32Array(width).fill(Infinity);
    this.high = new Float32Array(width).fill(-Infinity);
  }

  /** The drawing as an image has it: red, green, blue and opacity of each pixel, row by row. */
  bytes(): Uint8ClampedArray<ArrayBuffer> {
    divide(this.pixels);
    return new Uint8ClampedArray(this.pixels.buffer);
  }

  /**
   * A line through points from left to right.
   *
   * @param phase columns by which the dashes begin earlier, so that those of near curves are not in step
   * @param points pairs of x and y from the area's corner, `count` of them; a pair whose y is NaN is passed over
   */
  line(points: Float32Array, count: number, thickness: number, ink: Ink, dash: Dash = [], phase = 0): void {
    const { margin, width } = this;
    const end = width - margin;
    const half = thickness / 2;
    let first = width;
    let last = -1;
    let x0 = Number.NaN;
    let y0 = Number.NaN;
    for (let i = 0; i < count; i++) {
      const x1 = (points[2 * i] as number) + margin;
      const y1 = (points[2 * i + 1] as number) + margin;
      if (Number.isNaN(y1)) continue;
      const column = Math.floor(x1);
      const least = (y1 < y0 ? y1 : Number.isNaN(y0) ? y1 : y0) - half;
      const most = (y1 > y0 ? y1 : Number.isNaN(y0) ? y1 : y0) + half;
      const across = x1 - x0;
      if (column >= margin && column < end) {
        // Within a column all that lies between two points is covered; else the line itself is followed, below.
        if (across < 1) this.cover(column, least, most);
        else this.cover(column, y1 - half, y1 + half);
        if (column < first) first = column;
        if (column > last) last = column;
      }
      if (across > 0) {
        const slope = (y1 - y0) / across;
        const reach = half * Math.sqrt(1 + slope * slope);
        const from = Math.max(margin, Math.ceil(x0 - 0.5));
        const to = Math.min(end, Math.ceil(x1 - 0.5)) - 1;
        let y = y0 + (from + 0.5 - x0) * slope;
        for (let at = from; at <= to; at++, y += slope) {
          this.cover(at, Math.max(least, y - reach), Math.min(most, y + reach));
        }
        if (to >= from) {
          if (from < first) first = from;
          if (to > last) last = to;
        }
      }
      x0 = x1;
      y0 = y1;
    }
    this.paintStretches(first, last, ink, dash, phase);
  }

  /** A mark of an evaluation: a shape and its ink. */
  mark({ size, cover }: Shape, x: number, y: number, ink: Ink): void {
    const { pixels, width, height, margin } = this;
    const left = Math.round(x + margin - size / 2);
    const top = Math.round(y + margin - size / 2);
    if (left < 0 || top < 0 || left + size > width || top + size > height) return;
    for (let row = 0; row < size; row++) {
      let at = (top + row) * width + left;
      for (let i = row * size; i < (row + 1) * size; i++, at++) {
        const part = cover[i] as number;
        if (part > 0) blend(pixels, at, ink, part);
      }
    }
  }

  /** Puts the area's corner at `left`, `top` of a context that counts `ratio` pixels of the screen as one. */
  paint(context: CanvasRenderingContext2D, left: number, top: number, ratio: number): void {
    const { width, height } = this;
    this.canvas ??= document.createElement('canvas');
    const { canvas } = this;
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    const own = canvas.getContext('2d');
    if (own === null) return;
    own.putImageData(new ImageData(this.bytes(), width, height), 0, 0);
    const margin = this.margin / ratio;
    context.drawImage(canvas, left - margin, top - margin, width / ratio, height / ratio);
  }

  private cover(column: number, from: number, to: number): void {
    if (from < (this.low[column] as number)) this.low[column] = from;
    if (to > (this.high[column] as number)) this.high[column] = to;
  }

  private paintStretches(first: number, last: number, ink: Ink, dash: Dash, phase: number): void {
    const { pixels, width, height, low, high } = this;
    const whole = opacityOf(ink.opacity);
    const source = mix(ink, whole);
    const rest = 256 - whole;
    const pattern = dash.length === 0 ? solid : patternOf(dash);
    for (let column = first; column <= last; column++) {
      const from = Math.max(0, low[column] as number);
      const to = Math.min(height, high[column] as number);
      low[column] = Infinity;
      high[column] = -Infinity;
      if (!(from < to) || (pattern.length > 0 && pattern[(column + phase) % pattern.length] === 0)) continue;
      const top = Math.floor(from);
      const bottom = Math.min(height - 1, Math.floor(to));
      if (top === bottom) {
        blend(pixels, top * width + column, ink, to - from);
        continue;
      }
      blend(pixels, top * width + column, ink, top + 1 - from);
      blend(pixels, bottom * width + column, ink, to - bottom);
      const end = bottom * width + column;
      if (whole === 256) for (let at = (top + 1) * width + column; at < end; at += width) pixels[at] = source;
      else {
        for (let at = (top + 1) * width + column; at < end; at += width) {
          const under = pixels[at] as number;
          pixels[at] = under === 0 ? source : (source + scaled(under, rest)) | 0;
        }
      }
    }
  }
}

/** Opacity in parts of 256. */
function opacityOf(part: number): number {
  return Math.min(256, Math.max(0, Math.round(part * 256)));
}

/** The colour times its opacity, as a word. */
function mix({ red, green, blue }: Ink, opacity: number): number {
  const alpha = Math.min(255, opacity);
  return (alpha << 24) | (((blue * opacity) >> 8) << 16) | (((green * opacity) >> 8) << 8) | ((red * opacity) >> 8);
}

/** All four parts of a word times `by` of 256. */
function scaled(word: number, by: number): number {
  const even = (Math.imul(word & 0xff00ff, by) >>> 8) & 0xff00ff;
  const odd = Math.imul((word >>> 8) & 0xff00ff, by) & 0xff00ff00;
  return even | odd;
}

/** @param part of the pixel that is covered, from 0 to 1 */
function blend(pixels: Int32Array, at: number, ink: Ink, part: number): void {
  const opacity = (ink.opacity * part * 256 + 0.5) | 0;
  if (opacity === 0) return;
  pixels[at] = (mix(ink, opacity) + scaled(pixels[at] as number, 256 - opacity)) | 0;
}

/** Colours times opacity become colours beside opacity, as images have them. */
function divide(pixels: Int32Array): void {
  for (let i = 0; i < pixels.length; i++) {
    const word = pixels[i] as number;
    const alpha = word >>> 24;
    if (alpha === 0 || alpha === 255) continue;
    const by = 255 / alpha;
    const red = Math.min(255, (word & 255) * by);
    const green = Math.min(255, ((word >>> 8) & 255) * by);
    const blue = Math.min(255, ((word >>> 16) & 255) * by);
    pixels[i] = (alpha << 24) | (blue << 16) | (green << 8) | red;
  }
}

const solid = new Uint8Array(0);

/** 1 for a column that is drawn, 0 for one that is left out, over one period. */
function patternOf(dash: Dash): Uint8Array {
  return Uint8Array.from(dash.flatMap((part, i) => Array<number>(Math.round(part)).fill(i % 2 === 0 ? 1 : 0)));
}

export interface Shape {
  readonly size: number;
  /** How much of each pixel the shape covers. */
  readonly cover: Float32Array;
}

const shapes = new Map<string, Shape>();

export function shapeOf(kind: Marker, radius: number): Shape {
  const name = `${kind} ${radius}`;
  const known = shapes.get(name);
  if (known !== undefined) return known;
  const size = 2 * Math.ceil(radius * 1.4) + 1;
  const cover = new Float32Array(size * size);
  const fine = 4;
  for (let i = 0; i < size * size; i++) {
    for (let part = 0; part < fine * fine; part++) {
      const x = (i % size) + ((part % fine) + 0.5) / fine - size / 2;
      const y = Math.floor(i / size) + (Math.floor(part / fine) + 0.5) / fine - size / 2;
      if (holds(kind, x / radius, y / radius)) cover[i] = (cover[i] as number) + 1 / (fine * fine);
    }
  }
  const made = { size, cover };
  shapes.set(name, made);
  return made;
}

/** Whether a mark of radius 1 around 0 has the point. All have about the same area. */
function holds(kind: Marker, x: number, y: number): boolean {
  switch (kind) {
    case 'circle':
      return x * x + y * y <= 1;
    case 'square':
      return Math.abs(x) <= 0.9 && Math.abs(y) <= 0.9;
    case 'triangle':
      return y <= 0.95 && y >= -1.35 + 1.9 * Math.abs(x);
    case 'diamond':
      return Math.abs(x) + Math.abs(y) <= 1.28;
  }
}

const inks = new Map<string, Ink>();
let dropper: CanvasRenderingContext2D | null | undefined;

/** The parts of any colour that style sheets may name. */
export function inkOf(color: string, opacity = 1): Ink {
  const known = inks.get(color);
  if (known !== undefined) return { ...known, opacity: known.opacity * opacity };
  const probe = document.createElement('canvas');
  probe.width = 1;
  probe.height = 1;
  dropper ??= probe.getContext('2d', { willReadFrequently: true });
  if (dropper === null) return { red: 128, green: 128, blue: 128, opacity };
  dropper.clearRect(0, 0, 1, 1);
  dropper.fillStyle = color;
  dropper.fillRect(0, 0, 1, 1);
  const [red = 0, green = 0, blue = 0, alpha = 255] = dropper.getImageData(0, 0, 1, 1).data;
  const made = { red, green, blue, opacity: alpha / 255 };
  inks.set(color, made);
  return { ...made, opacity: made.opacity * opacity };
}

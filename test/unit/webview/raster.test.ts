/** The run panel's own raster: curves cover what they should of each pixel, whatever their slope, and never leave a gap. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Raster, shapeOf } from '../../../webview/run/raster.js';

const red = { red: 255, green: 0, blue: 0, opacity: 1 };
const size = 64;
const margin = 4;

/** Opacity, from 0 to 1, by place in the area. */
function draw(work: (raster: Raster) => void): (x: number, y: number) => number {
  const raster = new Raster();
  raster.begin(size, size, margin);
  work(raster);
  const bytes = raster.bytes();
  return (x, y) => (bytes[4 * ((y + margin) * (size + 2 * margin) + x + margin) + 3] ?? Number.NaN) / 255;
}

const columns = Array.from({ length: size }, (_, x) => x);
const inColumn = (at: (x: number, y: number) => number, x: number): number =>
  Array.from({ length: size + 2 * margin }, (_, y) => at(x, y - margin)).reduce((sum, part) => sum + part, 0);

describe('lines', () => {
  it('cover as much of a column as they are thick, in the pixels where they lie', () => {
    const at = draw((raster) => raster.line(Float32Array.of(0, 10.25, size, 10.25), 2, 1, red));
    for (const x of columns) {
      expect(at(x, 9)).toBeCloseTo(0.25, 1);
      expect(at(x, 10)).toBeCloseTo(0.75, 1);
      expect(at(x, 8) + at(x, 11)).toBe(0);
    }
  });

  it('are as dark when they slope', () => {
    for (const slope of [0.25, 0.5, 0.9]) {
      const at = draw((raster) => raster.line(Float32Array.of(0, 2, size, 2 + slope * size), 2, 2, red));
      for (const x of columns.slice(4, -4)) expect(inColumn(at, x)).toBeCloseTo(2 * Math.sqrt(1 + slope ** 2), 0);
    }
  });

  it('reach every extreme and leave no gap, through any points', () => {
    const points = fc.array(
      fc.tuple(fc.integer({ min: 0, max: size - 1 }), fc.double({ min: 1, max: size - 2, noNaN: true })),
      {
        minLength: 2,
        maxLength: 200,
      },
    );
    fc.assert(
      fc.property(points, (unsorted) => {
        const sorted = unsorted.sort(([a], [b]) => a - b);
        const at = draw((raster) => raster.line(Float32Array.from(sorted.flat()), sorted.length, 1.5, red));
        for (const [x, y] of sorted) {
          const row = Math.min(size - 1, Math.floor(Math.fround(y)));
          expect(at(x, row)).toBeGreaterThan(0.3);
        }
        // From column to column the covered stretches touch.
        const [from, to] = [sorted[0]?.[0] ?? 0, sorted.at(-1)?.[0] ?? 0];
        let before: [number, number] | undefined;
        for (let x = from; x <= to; x++) {
          const rows = columns.filter((y) => at(x, y) > 0);
          const stretch: [number, number] = [rows[0] ?? Number.NaN, rows.at(-1) ?? Number.NaN];
          expect(rows).toHaveLength(stretch[1] - stretch[0] + 1);
          if (before !== undefined) {
            expect(stretch[0]).toBeLessThanOrEqual(before[1] + 1);
            expect(stretch[1]).toBeGreaterThanOrEqual(before[0] - 1);
          }
          before = stretch;
        }
      }),
    );
  });

  it('stay in the area, and pass over what was not measured', () => {
    const at = draw((raster) =>
      raster.line(Float32Array.of(-20, 30, 10, Number.NaN, size + 20, 30), 3, 2, { ...red, opacity: 0.5 }),
    );
    for (const x of columns) expect(at(x, 30)).toBeCloseTo(0.5, 1);
    expect(at(-1, 30) + at(size, 30)).toBe(0);
  });

  it('mix where they cross, and never beyond full', () => {
    const faint = { red: 200, green: 100, blue: 50, opacity: 0.4 };
    const at = draw((raster) => {
      for (let i = 0; i < 50; i++) raster.line(Float32Array.of(0, 20.5, size, 20.5), 2, 1, faint);
    });
    expect(at(5, 20)).toBeGreaterThan(0.97);
    expect(at(5, 21)).toBe(0);
  });

  it('have gaps where they are dashed', () => {
    const at = draw((raster) => raster.line(Float32Array.of(0, 20.5, size, 20.5), 2, 1, red, [6, 2]));
    expect(columns.filter((x) => at(x, 20) > 0)).toHaveLength(size - 16);
  });
});

it('marks cover their middle, and all kinds about as much', () => {
  const kinds = ['circle', 'square', 'triangle', 'diamond'] as const;
  for (const kind of kinds) {
    const at = draw((raster) => raster.mark(shapeOf(kind, 4), 30.5, 30.5, red));
    expect(at(30, 30)).toBe(1);
    const area = columns.reduce((sum, x) => sum + inColumn(at, x), 0);
    expect(area / (Math.PI * 16)).toBeGreaterThan(0.75);
    expect(area / (Math.PI * 16)).toBeLessThan(1.25);
  }
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Pyramid, Smoother } from '../../../../src/core/view/pyramid.js';
import { trace } from '../../../../src/core/view/trace.js';

/** Any numbers, also below 0 and not measured; or none below 0, as most figures are. */
const values = fc
  .tuple(fc.boolean(), fc.boolean())
  .chain(([negative, gaps]) =>
    fc.array(
      fc.oneof(
        { weight: 9, arbitrary: fc.float({ noNaN: true, ...(negative ? {} : { min: 0 }) }) },
        fc.constantFrom(...(gaps ? [Number.NaN] : []), Infinity, 0),
      ),
      { maxLength: 700 },
    ),
  );

function extremes(list: ArrayLike<number>, from: number, to: number): { min: number; max: number } {
  const found = Array.from(list)
    .slice(from, to)
    .filter((value) => !Number.isNaN(value));
  return found.length === 0 ? { min: NaN, max: NaN } : { min: Math.min(...found), max: Math.max(...found) };
}

describe('Pyramid', () => {
  it('gives the extremes of any range, as looking at every value does', () => {
    fc.assert(
      fc.property(values, fc.nat(700), fc.nat(700), (list, a, b) => {
        const column = Float32Array.from(list);
        const pyramid = new Pyramid();
        pyramid.update(column, column.length);
        const [from, to] = [Math.min(a, b), Math.max(a, b)];
        for (const size of [1, 64, 8]) {
          pyramid.at(size);
          expect(pyramid.range(from, to)).toEqual(extremes(column, from, to));
        }
      }),
    );
  });

  it('is the same whether it grew or was made at once', () => {
    fc.assert(
      fc.property(values, fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1 }), (list, chunks) => {
        const sizes = [64, 1, 1000, 4, 16];
        const column = Float32Array.from(list);
        const grown = new Pyramid();
        let done = 0;
        for (let i = 0; done < column.length; i++) {
          const next = Math.min(column.length, done + (chunks[i % chunks.length] ?? 1));
          grown.update(column, next, done);
          // Levels are made when they are asked for, and then grow.
          grown.at(sizes[i % sizes.length] ?? 1);
          done = next;
        }
        for (const size of sizes) {
          const whole = new Pyramid();
          whole.update(column, column.length);
          const [a, b] = [grown.at(size), whole.at(size)];
          expect(a.size).toBe(b.size);
          const stretches = Math.ceil(column.length / a.size);
          expect(a.min.slice(0, stretches)).toEqual(b.min.slice(0, stretches));
          expect(a.max.slice(0, stretches)).toEqual(b.max.slice(0, stretches));
        }
      }),
    );
  });

  it('forgets what was cut off', () => {
    const column = Float32Array.from({ length: 100 }, (_, i) => i);
    const pyramid = new Pyramid();
    pyramid.update(column, 100);
    column.fill(-1, 20, 30);
    pyramid.update(column, 30, 20);
    expect(pyramid.range(0, 1000)).toEqual({ min: -1, max: 19 });
  });
});

describe('trace', () => {
  it('keeps every extreme of a hundred thousand points in a few hundred pairs', () => {
    const count = 100_000;
    const x = Float32Array.from({ length: count }, (_, i) => i);
    const y = Float32Array.from({ length: count }, (_, i) => Math.sin(i / 9000));
    y[31_234] = 50;
    y[77_777] = -60;
    const pyramid = new Pyramid();
    pyramid.update(y, count);
    const out = new Float32Array(2 * (4 * 300 + 16));
    const pairs = trace(x, pyramid, { from: 0, to: count - 1, width: 300 }, out);
    expect(pairs).toBeLessThanOrEqual(602);
    const drawn = Array.from({ length: pairs }, (_, i) => [out[2 * i] ?? 0, out[2 * i + 1] ?? 0] as const);
    expect(drawn.find(([, value]) => value === 50)?.[0]).toBeCloseTo((31_234 / count) * 300, -0.5);
    expect(drawn.find(([, value]) => value === -60)?.[0]).toBeCloseTo((77_777 / count) * 300, -0.5);
    for (let i = 1; i < drawn.length; i++) expect(drawn[i]?.[0]).toBeGreaterThanOrEqual(drawn[i - 1]?.[0] ?? 0);
  });

  it('gives the points themselves where they are few, and one beyond each edge', () => {
    const x = Float32Array.of(0, 10, 20, 30, 40, 50);
    const y = Float32Array.of(1, 2, NaN, 4, 5, 6);
    const pyramid = new Pyramid();
    pyramid.update(y, 6);
    const out = new Float32Array(200);
    const pairs = trace(x, pyramid, { from: 15, to: 35, width: 100 }, out);
    expect(Array.from(out.subarray(0, 2 * pairs))).toEqual([-25, 2, 25, NaN, 75, 4, 125, 5]);
  });

  it('draws nothing of nothing, and one point of one', () => {
    const pyramid = new Pyramid();
    const out = new Float32Array(200);
    expect(trace(new Float32Array(), pyramid, { from: 0, to: 1, width: 100 }, out)).toBe(0);
    pyramid.update(Float32Array.of(7), 1);
    expect(trace(Float32Array.of(3), pyramid, { from: 3, to: 3, width: 100 }, out)).toBe(1);
  });
});

describe('Smoother', () => {
  it('starts at the first value and goes on where it stopped', () => {
    const column = Float32Array.of(4, 2, NaN, 8, 1);
    const whole = new Float32Array(5);
    new Smoother(0.9).run(column, 5, whole);
    expect(whole[0]).toBeCloseTo(4);
    expect(whole[1]).toBeCloseTo((0.09 * 4 + 0.1 * 2) / 0.19);
    expect(whole[2]).toBeCloseTo(whole[1] ?? 0);
    const parts = new Float32Array(5);
    const smoother = new Smoother(0.9);
    smoother.run(column, 2, parts);
    smoother.run(column, 5, parts);
    expect(parts).toEqual(whole);
  });

  it('changes nothing at weight 0', () => {
    const column = Float32Array.of(4, 2, 8);
    const out = new Float32Array(3);
    new Smoother(0).run(column, 3, out);
    expect(out).toEqual(column);
  });
});

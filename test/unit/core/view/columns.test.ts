/** Columns of points: whatever is put where, and whenever room is made, they hold what was put last. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { columnNames, PointColumns } from '../../../../src/core/view/columns.js';

/** So many points, whose every value is another one. */
function packed(first: number, count: number): ArrayBuffer {
  return Float32Array.from({ length: columnNames.length * count }, (_, i) => first + i).buffer;
}

describe('columns', () => {
  it('hold what was put, from any index on, with room made at any time', () => {
    const put = fc.record({ back: fc.nat(5), count: fc.integer({ min: 1, max: 1500 }), reserve: fc.boolean() });
    fc.assert(
      fc.property(fc.array(put, { minLength: 1, maxLength: 6 }), (puts) => {
        const columns = new PointColumns();
        const expected = columnNames.map((): number[] => []);
        for (const [i, { back, count, reserve }] of puts.entries()) {
          const from = Math.max(0, columns.count - back);
          const points = packed(i * 100_000, count);
          const values = [...new Float32Array(points)];
          for (const [at, column] of expected.entries()) {
            column.length = from;
            column.push(...values.slice(at * count, (at + 1) * count));
          }
          expect(columns.put(from, points)).toBe(true);
          if (reserve) columns.reserve();
        }
        for (const [at, name] of columnNames.entries()) {
          expect([...columns.column(name).subarray(0, columns.count)]).toEqual(expected[at]);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('have room behind their values once it was made, and refuse a gap', () => {
    const columns = new PointColumns();
    columns.put(0, packed(0, 3));
    expect(columns.column('loss')).toHaveLength(3);
    columns.reserve();
    expect(columns.column('loss').length).toBeGreaterThan(3);
    expect(columns.put(4, packed(0, 1))).toBe(false);
    expect(columns.count).toBe(3);
  });
});

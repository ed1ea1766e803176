import { expect, test } from 'vitest';
import { runnableLevels } from '../../../src/engine/addon.js';

const haswell = 'fpu sse sse2 ssse3 fma cx16 sse4_1 sse4_2 movbe popcnt avx f16c bmi1 avx2 bmi2';
const cpuinfo = (flags: string): string => `processor\t: 0\nmodel name\t: A\nflags\t\t: ${flags}\nbugs\t\t: avx512f\n`;

test.each([
  ['a processor of 2013', haswell, ['x86-64-v3']],
  [
    'one with AVX-512',
    `${haswell} avx512f avx512dq avx512cd avx512bw avx512vl avx512_bf16`,
    ['x86-64-v4', 'x86-64-v3'],
  ],
  ['one with some of AVX-512', `${haswell} avx512f avx512cd avx512er avx512pf`, ['x86-64-v3']],
])('%s runs the engines it can run, the fastest first', (_, flags, levels) => {
  expect(runnableLevels('x64', cpuinfo(flags))).toEqual(levels);
});

test('a processor without AVX2 is told so, not ended by an illegal instruction', () => {
  expect(() => runnableLevels('x64', cpuinfo('fpu sse sse2 avx'))).toThrow(/AVX2/);
});

test('a system that tells nothing gets what all have', () => {
  expect(runnableLevels('x64', undefined)).toEqual(['x86-64-v3']);
});

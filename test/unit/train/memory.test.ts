import { expect, it } from 'vitest';
import { availableOf } from '../../../src/train/memory.js';

it('of macOS, memory that is inactive or read ahead can be taken as well as free memory', () => {
  const text = `Mach Virtual Memory Statistics: (page size of 16384 bytes)
Pages free:                                5876.
Pages active:                            382187.
Pages inactive:                          378861.
Pages speculative:                         1950.
Pages throttled:                              0.
Pages wired down:                        142357.
Pages purgeable:                           5543.
"Translation faults":                 911222893.
`;
  expect(availableOf(text)).toBe((5876 + 378_861 + 1950) * 16_384);
  expect(availableOf('')).toBeUndefined();
});

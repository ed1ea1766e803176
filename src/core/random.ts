/**
 * The seeded source of chance of shuffles and samples: sfc32 (Doty-Humphrey, PractRand), a small generator with 128 bits of
 * state and a period of at least 2^32, seeded through splitmix32 so that near seeds give unrelated sequences.
 */
export class Random {
  private readonly state = new Uint32Array(4);

  /** `streams` (an epoch, the number of a set) tell sequences of one seed apart. */
  constructor(seed: number, ...streams: readonly number[]) {
    let mixed = 0;
    const mix = (value: number): number => {
      mixed = (mixed + 0x9e3779b9 + value) >>> 0;
      let z = mixed;
      z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
      z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
      mixed = (mixed ^ z) >>> 0;
      return (z ^ (z >>> 16)) >>> 0;
    };
    for (const value of [seed, ...streams]) {
      mix(value >>> 0);
      mix(Math.floor(value / 2 ** 32) >>> 0);
    }
    for (let i = 0; i < 4; i++) this.state[i] = mix(0);
    for (let i = 0; i < 12; i++) this.uint32();
  }

  /** An integer from 0 to 2^32 − 1. */
  uint32(): number {
    const [a = 0, b = 0, c = 0, counter = 0] = this.state;
    const sum = (a + b + counter) >>> 0;
    this.state[0] = b ^ (b >>> 9);
    this.state[1] = c + (c << 3);
    this.state[2] = ((c << 21) | (c >>> 11)) + sum;
    this.state[3] = counter + 1;
    return sum;
  }

  /** An integer from 0 to `bound` − 1 (bound up to 2^32), without bias. */
  below(bound: number): number {
    const limit = 2 ** 32 - (2 ** 32 % bound);
    for (;;) {
      const value = this.uint32();
      if (value < limit) return value % bound;
    }
  }
}

/** The numbers 0 to `count` − 1 in a random order (Fisher and Yates). */
export function permutation(count: number, random: Random): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = random.below(i + 1);
    const kept = order[i] ?? 0;
    order[i] = order[j] ?? 0;
    order[j] = kept;
  }
  return order;
}

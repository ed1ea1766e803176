/**
 * The generators' own source of chance: PCG32 (O'Neill 2014, XSH-RR 64/32), seeded through splitmix64.
 *
 * Kept apart from the trainer's on purpose: the committed examples and the starter model's corpus depend on every draw
 * made here, so this file never changes.
 */
export class Random {
  private high: number;
  private low: number;

  /** `stream` names what is drawn, so that two texts made from one seed never share their draws. */
  constructor(seed: number, stream = '') {
    let state = BigInt(seed);
    for (const char of stream) state = splitmix64(state ^ BigInt(char.codePointAt(0) ?? 0));
    state = splitmix64(state);
    this.high = Number(state >> 32n);
    this.low = Number(state & 0xffffffffn);
    this.uint32();
  }

  /** An integer from 0 to 2^32 − 1. */
  uint32(): number {
    const { high, low } = this;
    // state = state × 6364136223846793005 + 1442695040888963407 (mod 2^64), in halves of 32 bits.
    const product = multiply(low, 0x4c957f2d);
    const sum = product.low + 0xf767814f;
    this.low = sum >>> 0;
    this.high =
      (product.high +
        Math.imul(low, 0x5851f42d) +
        Math.imul(high, 0x4c957f2d) +
        0x14057b7e +
        (sum > 0xffffffff ? 1 : 0)) >>>
      0;
    // Output of the old state: rotate right ((state >> 18) ^ state) >> 27 by state >> 59.
    const mixedLow = (((high << 14) | (low >>> 18)) ^ low) >>> 0;
    const mixedHigh = ((high >>> 18) ^ high) >>> 0;
    const word = ((mixedHigh << 5) | (mixedLow >>> 27)) >>> 0;
    const turn = high >>> 27;
    return ((word >>> turn) | (word << (-turn & 31))) >>> 0;
  }

  /** From 0 (included) to 1 (not included). */
  next(): number {
    return this.uint32() / 2 ** 32;
  }

  /** An integer from 0 to `count` − 1. */
  below(count: number): number {
    return Math.floor(this.next() * count);
  }
}

function splitmix64(state: bigint): bigint {
  let z = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n);
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return z ^ (z >> 31n);
}

/** The 64-bit product of two unsigned 32-bit integers. */
function multiply(a: number, b: number): { high: number; low: number } {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const lowLow = aLow * bLow;
  const middle = aHigh * bLow + (lowLow >>> 16);
  const middleLow = (middle & 0xffff) + aLow * bHigh;
  return {
    low: Math.imul(a, b) >>> 0,
    high: aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(middleLow / 0x10000),
  };
}

/** Seeded random numbers (xorshift128): the same on every machine. */

export class Random {
  private readonly state: [number, number, number, number];

  constructor(seed: number) {
    this.state = [seed | 1, 0x9e3779b9, 0x243f6a88, 0xb7e15162];
    for (let i = 0; i < 64; i++) this.next();
  }

  /** In [0, 1). */
  next(): number {
    const { state } = this;
    let t = state[3];
    const s = state[0];
    state[3] = state[2];
    state[2] = state[1];
    state[1] = s;
    t ^= t << 11;
    t ^= t >>> 8;
    state[0] = t ^ s ^ (s >>> 19);
    return (state[0] >>> 0) / 2 ** 32;
  }

  shuffled<T>(items: readonly T[]): T[] {
    return items
      .map((item) => ({ item, place: this.next() }))
      .sort((a, b) => a.place - b.place)
      .map(({ item }) => item);
  }

  /** Normal values with mean 0 (Box and Muller). */
  fillNormal(values: Float32Array, deviation: number): void {
    for (let i = 0; i < values.length; i += 2) {
      const radius = deviation * Math.sqrt(-2 * Math.log(1 - this.next()));
      const angle = 2 * Math.PI * this.next();
      values[i] = radius * Math.cos(angle);
      if (i + 1 < values.length) values[i + 1] = radius * Math.sin(angle);
    }
  }
}

/** Rows by a hash of 53 bits of a text: what was seen before, in 12 bytes for each entry (and free places). */

export class SeenTexts {
  private high = new Uint32Array(4096);
  private low = new Uint32Array(4096);
  private values = new Uint32Array(4096);
  private count = 0;

  constructor(private readonly maxEntries = 1 << 20) {}

  get full(): boolean {
    return this.count >= this.maxEntries;
  }

  /** @returns the value that was first put under the key; undefined where it was new and `value` is now there */
  put(key: number, value: number): number | undefined {
    const found = this.find(key);
    if (found.there) return this.values[found.at];
    if (this.full) return undefined;
    this.set(found.at, key, value);
    this.count++;
    if (this.count * 4 > this.high.length * 3) this.grow();
    return undefined;
  }

  /** The room that it has stays. */
  clear(): void {
    this.high.fill(0);
    this.count = 0;
  }

  has(key: number): boolean {
    return this.find(key).there;
  }

  private find(key: number): { at: number; there: boolean } {
    const low = key >>> 0;
    // Never 0, which marks free places.
    const high = (Math.floor(key / 2 ** 32) | 0x80000000) >>> 0;
    const mask = this.high.length - 1;
    for (let at = low & mask; ; at = (at + 1) & mask) {
      if (this.high[at] === 0) return { at, there: false };
      if (this.low[at] === low && this.high[at] === high) return { at, there: true };
    }
  }

  private set(at: number, key: number, value: number): void {
    this.low[at] = key >>> 0;
    this.high[at] = (Math.floor(key / 2 ** 32) | 0x80000000) >>> 0;
    this.values[at] = value;
  }

  private grow(): void {
    const { high, low, values } = this;
    this.high = new Uint32Array(high.length * 2);
    this.low = new Uint32Array(high.length * 2);
    this.values = new Uint32Array(high.length * 2);
    const mask = this.high.length - 1;
    for (let i = 0; i < high.length; i++) {
      if (high[i] === 0) continue;
      let at = (low[i] ?? 0) & mask;
      while (this.high[at] !== 0) at = (at + 1) & mask;
      this.low[at] = low[i] ?? 0;
      this.high[at] = high[i] ?? 0;
      this.values[at] = values[i] ?? 0;
    }
  }
}

/** 53 bits of a text (cyrb53, public domain): equal texts have equal ones, others with a chance of about 10⁻¹⁶ a pair. */
export function hashText(text: string): number {
  let h1 = 0xdeadbeef;
  let h2 = 0x41c6ce57;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    h1 = Math.imul(h1 ^ code, 2654435761);
    h2 = Math.imul(h2 ^ code, 1597334677);
  }
  h1 = Math.imul(h1 ^ (h1 >>> 16), 2246822507) ^ Math.imul(h2 ^ (h2 >>> 13), 3266489909);
  h2 = Math.imul(h2 ^ (h2 >>> 16), 2246822507) ^ Math.imul(h1 ^ (h1 >>> 13), 3266489909);
  return 4294967296 * (2097151 & h2) + (h1 >>> 0);
}

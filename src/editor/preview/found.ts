/** Rows of a filtered view in their order: a list that grows while it is searched. */

export class Found {
  private rows: Uint32Array = new Uint32Array(1 << 10);
  length = 0;

  add(rows: Uint32Array): void {
    if (this.length + rows.length > this.rows.length) {
      const larger = new Uint32Array(Math.max(this.length + rows.length, this.rows.length * 2));
      larger.set(this.rows);
      this.rows = larger;
    }
    this.rows.set(rows, this.length);
    this.length += rows.length;
  }

  replace(rows: Uint32Array): void {
    this.rows = rows;
    this.length = rows.length;
  }

  slice(from: number, count: number): Uint32Array {
    return this.rows.slice(from, Math.min(this.length, from + count));
  }
}

export function range(from: number, count: number): Uint32Array {
  return Uint32Array.from({ length: Math.max(0, count) }, (_, i) => from + i);
}

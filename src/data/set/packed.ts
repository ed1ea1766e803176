/** Many tokenised examples in a few large arrays: a JavaScript object with three arrays of its own costs more than its tokens do. */

import type { TokenizedExample } from '../../core/data.js';

/** A list that feeds read from. */
export interface ExampleList {
  readonly length: number;
  at(index: number): TokenizedExample | undefined;
  /** Tokens of an example, and those with a loss. */
  sizeAt(index: number): { readonly tokens: number; readonly trained: number };
}

/**
 * Entries of `meta` for each example: end in `tokens`, number of the file, index and line of the record, tokens cut off, tokens
 * with a loss.
 */
const width = 6;

export class PackedExamples implements ExampleList {
  length = 0;
  private tokens = new Int32Array(1 << 16);
  /** Group of the token, and 4 where it is trained on. */
  private flags = new Uint8Array(1 << 16);
  private meta = new Float64Array(width << 8);
  private size = 0;
  private readonly files: string[] = [];

  add({ place, tokens, groups, mask, truncated }: TokenizedExample): void {
    const end = this.size + tokens.length;
    if (end > this.tokens.length) {
      this.tokens = grown(this.tokens, new Int32Array(Math.max(end, 2 * this.tokens.length)));
      this.flags = grown(this.flags, new Uint8Array(this.tokens.length));
    }
    this.tokens.set(tokens, this.size);
    let trained = 0;
    for (let i = 0; i < tokens.length; i++) {
      const one = mask[i] === 1;
      if (one) trained++;
      this.flags[this.size + i] = (groups[i] ?? 0) | (one ? 4 : 0);
    }
    this.size = end;
    let file = this.files.lastIndexOf(place.file);
    if (file < 0) file = this.files.push(place.file) - 1;
    const at = width * this.length++;
    if (at + width > this.meta.length) this.meta = grown(this.meta, new Float64Array(2 * this.meta.length));
    this.meta.set([end, file, place.index, place.line, truncated, trained], at);
  }

  sizeAt(index: number): { tokens: number; trained: number } {
    const start = index === 0 ? 0 : (this.meta[width * (index - 1)] ?? 0);
    return { tokens: (this.meta[width * index] ?? 0) - start, trained: this.meta[width * index + 5] ?? 0 };
  }

  at(index: number): TokenizedExample | undefined {
    if (index < 0 || index >= this.length) return undefined;
    const start = index === 0 ? 0 : (this.meta[width * (index - 1)] ?? 0);
    const [end = 0, file = 0, record = 0, line = 0, truncated = 0] = this.meta.subarray(
      width * index,
      width * (index + 1),
    );
    const flags = this.flags.subarray(start, end);
    return {
      place: { file: this.files[file] ?? '', index: record, line },
      tokens: this.tokens.slice(start, end),
      groups: flags.map((flag) => flag & 3),
      mask: flags.map((flag) => flag >> 2),
      truncated,
    };
  }
}

function grown<T extends Int32Array | Uint8Array | Float64Array>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}

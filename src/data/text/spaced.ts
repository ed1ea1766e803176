/**
 * SentencePiece's BPE (Llama 2, Mistral), which takes a text as one word whose spaces are characters. Of two characters that no merge's
 * token has side by side, such as a letter with a space after it, none has both either: cut between them the text has the same tokens.
 */

import { type BpeModel, bpeModel, Merges, sizesOf, withEnds } from './bpe.js';
import { isObject } from './files.js';

/** SentencePiece's space, which normalised texts do not hold; before a word it stands for a space that the text lacks. */
export const wordStart = '\u2581';

const byteToken = /^<0x([0-9A-F]{2})>$/;
const space = 0x20;

export class SpacedBpe {
  private readonly merges: Merges;
  private readonly neighbours = new Neighbours();
  /** Ids of characters, by their code points, and of bytes; -1 for those that are none. */
  private readonly characters = new Map<number, number>();
  private readonly byteIds = new Int32Array(256).fill(-1);
  /** Bytes of each id. */
  private readonly sizes: Int32Array;
  private ids = new Int32Array(256);

  private constructor(
    { vocab, merges, byteFallback }: BpeModel,
    private readonly start: NonNullable<ReturnType<typeof startOf>>,
  ) {
    this.merges = new Merges(merges);
    this.sizes = sizesOf(vocab, (token) =>
      byteToken.test(token) ? 1 : Buffer.byteLength(token.replaceAll(wordStart, ' ')),
    );
    const tokens = new Map<number, string>();
    for (const [token, id] of vocab) {
      tokens.set(id, token);
      const [character = '', ...more] = token.slice(0, 3);
      const code = character.codePointAt(0) ?? 0;
      if (character !== '' && more.length === 0) this.characters.set(character === wordStart ? space : code, id);
      const byte = byteFallback ? byteToken.exec(token)?.[1] : undefined;
      if (byte !== undefined) this.byteIds[Number.parseInt(byte, 16)] = id;
    }
    for (const [, , id] of merges) this.neighbours.add((tokens.get(id) ?? '').replaceAll(wordStart, ' '));
  }

  /** Undefined for models of other kinds. */
  static of(json: Readonly<Record<string, unknown>>): SpacedBpe | undefined {
    const start = startOf(json);
    const model = start === undefined ? undefined : bpeModel(json.model);
    if (start === undefined || model === undefined || model.ignoreMerges) return undefined;
    const bpe = new SpacedBpe(model, start);
    // Tokens of a byte stand for text that is none of theirs.
    const bytes = new Set(bpe.byteIds);
    return model.merges.some(([left, right]) => bytes.has(left) || bytes.has(right)) ? undefined : bpe;
  }

  /** @param first whether the text is the beginning of the whole */
  cut(text: string, first: boolean): readonly string[] {
    const { prepend, unlessSpace, split } = this.start;
    const words = this.neighbours.cut(text, split);
    if (prepend === 'never' || (prepend === 'first' && !first) || (unlessSpace && text.startsWith(' '))) return words;
    // With all spaces after it, as the space that the text lacks is the last of them.
    const spaces = leadingSpaces(text);
    let [count, size] = [0, 0];
    while (count < words.length && size <= spaces) size += words[count++]?.length ?? 0;
    return [wordStart + text.slice(0, size), ...words.slice(count)];
  }

  /** Undefined where a character is none of the model's, or the tokens do not cover the word. */
  encode(word: string): { readonly ids: readonly number[]; readonly ends: readonly number[] } | undefined {
    const lacks = word.startsWith(wordStart);
    if (this.ids.length < 4 * word.length) this.ids = new Int32Array(8 * word.length);
    let count = 0;
    for (const character of word) {
      const id = this.characters.get(character === wordStart ? space : (character.codePointAt(0) ?? 0));
      if (id !== undefined) this.ids[count++] = id;
      else {
        for (const byte of Buffer.from(character)) {
          const byteId = this.byteIds[byte] ?? -1;
          if (byteId < 0) return undefined;
          this.ids[count++] = byteId;
        }
      }
    }
    const made = withEnds(this.ids, this.merges.merge(this.ids, count), this.sizes);
    if (made.ends.at(-1) !== Buffer.byteLength(lacks ? ` ${word.slice(1)}` : word)) return undefined;
    if (!lacks) return made;
    // The space that the text lacks is the last one before its first character.
    const spaces = leadingSpaces(word.slice(1));
    return { ids: made.ids, ends: made.ends.map((end) => (end <= spaces + 1 ? Math.min(end, spaces) : end - 1)) };
  }
}

function leadingSpaces(text: string): number {
  return /^ */.exec(text)?.[0].length ?? 0;
}

/** Which characters stand side by side in some token. */
class Neighbours {
  /** Pairs of ASCII, and of all others. */
  private readonly plain = new Uint8Array(1 << 14);
  private readonly others = new Set<number>();

  add(token: string): void {
    const codes = Array.from(token, (character) => character.codePointAt(0) ?? 0);
    for (let i = 1; i < codes.length; i++) {
      const [left = 0, right = 0] = [codes[i - 1], codes[i]];
      if ((left | right) < 0x80) this.plain[(left << 7) | right] = 1;
      else this.others.add(left * 2 ** 21 + right);
    }
  }

  /** @param atSpaces whether it is cut before every space, too */
  cut(text: string, atSpaces: boolean): string[] {
    const words: string[] = [];
    const { plain, others } = this;
    let start = 0;
    let left = -1;
    for (let i = 0; i < text.length; i++) {
      let right = text.charCodeAt(i);
      const at = i;
      if (right >= 0xd800 && right < 0xdc00) {
        right = text.codePointAt(i) ?? right;
        if (right > 0xffff) i++;
      }
      const together = (left | right) < 0x80 ? plain[(left << 7) | right] === 1 : others.has(left * 2 ** 21 + right);
      if (left >= 0 && (!together || (atSpaces && right === space))) {
        words.push(text.slice(start, at));
        start = at;
      }
      left = right;
    }
    if (start < text.length) words.push(text.slice(start));
    return words;
  }
}

/**
 * Where a space is put before a text: by a normalizer, as SentencePiece's models were converted first, or by `Metaspace` as they are since
 * (Mistral v0.3), which puts none before one that there is. `split`: words begin at every space.
 */
function startOf({ normalizer, pre_tokenizer }: Readonly<Record<string, unknown>>) {
  if (isObject(normalizer) && Array.isArray(normalizer.normalizers) && (pre_tokenizer ?? null) === null) {
    const [prepend, replace, ...more]: unknown[] = normalizer.normalizers;
    const isPrepend = isObject(prepend) && prepend.type === 'Prepend' && prepend.prepend === wordStart;
    const isReplace = isObject(replace) && replace.type === 'Replace' && replace.content === wordStart;
    const pattern = isReplace && isObject(replace.pattern) ? replace.pattern.String : undefined;
    if (!isPrepend || pattern !== ' ' || more.length > 0) return undefined;
    return { prepend: 'always', unlessSpace: false, split: false } as const;
  }
  if ((normalizer ?? null) !== null || !isObject(pre_tokenizer) || pre_tokenizer.type !== 'Metaspace') return undefined;
  const { replacement, prepend_scheme: prepend, split } = pre_tokenizer;
  if (replacement !== wordStart || (pre_tokenizer.str_rep ?? wordStart) !== wordStart) return undefined;
  if (prepend !== 'always' && prepend !== 'first' && prepend !== 'never') return undefined;
  return { prepend, unlessSpace: true, split: split !== false } as const;
}

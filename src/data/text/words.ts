/**
 * Fast encoding by a cache of words. Byte-level tokenizers (GPT-2's kind: Llama 3, Qwen) cut a text at added tokens, then into words
 * by one regular expression, and each word's tokens depend on the word alone. So each word is tokenised once: by the inner loop of
 * `bpe.ts`, or by the library where the model is another than plain byte-level BPE.
 *
 * Safe because the cuts are the library's own (its splitter, run on its own) and every word is checked when it is first met: its tokens
 * have to cover it and, where the library tokenises it, cut alone it has to stay whole. Whatever is not so is left to the slow way.
 * SentencePiece's BPE, which takes a text as one word, is cut by `spaced.ts`.
 */

import { Tokenizer } from '@huggingface/tokenizers';
import { ByteBpe } from './bpe.js';
import { isObject } from './files.js';
import { SpacedBpe } from './spaced.js';

export interface Encoded {
  readonly ids: readonly number[];
  /** End of each token in the UTF-8 bytes of the text; token i covers [ends[i - 1], ends[i]). */
  readonly ends: readonly number[];
}

/** Words of a language come back so often that more would save little time, and take about a hundred bytes each. */
const maxWords = 1 << 16;
const maxWordLength = 64;
/** V8 cuts shorter texts out by copying them; longer ones hold the whole text alive that they are a part of. */
const copiedLength = 12;

export class WordEncoder {
  /** Where the tokens of a word stand in `pool`. */
  private readonly words = new Map<string, number>();
  /** Of each word: how many tokens; id and end of each. */
  private pool = new Int32Array(1 << 12);
  private used = 0;

  private constructor(
    /** Words of a text between added tokens, and whether it is the beginning of the whole. */
    private readonly cut: (text: string, first: boolean) => readonly string[],
    private readonly added: ReadonlyMap<string, number>,
    private readonly addedPattern: RegExp | undefined,
    /** Undefined where the tokens do not cover the word. */
    private readonly encodeWord: (word: string) => Encoded | undefined,
  ) {}

  /**
   * Undefined for tokenizers that do not work this way.
   *
   * @param encodeWhole as the library tokenises texts
   */
  static of(
    json: Readonly<Record<string, unknown>>,
    config: Readonly<Record<string, unknown>>,
    encodeWhole: (word: string) => Encoded,
  ): WordEncoder | undefined {
    if (config.remove_space === true || config.do_lowercase_and_remove_accent === true) return undefined;
    const added = new Map<string, number>();
    for (const token of Array.isArray(json.added_tokens) ? json.added_tokens : []) {
      if (!isObject(token) || typeof token.content !== 'string' || typeof token.id !== 'number') return undefined;
      const plain = token.lstrip !== true && token.rstrip !== true && token.single_word !== true;
      const normalized = token.normalized === true && json.normalizer !== null;
      if (!plain || normalized || token.content === '') return undefined;
      added.set(token.content, token.id);
    }
    // Longest first, as the library matches them.
    const names = [...added.keys()].sort((a, b) => b.length - a.length).map(escaped);
    const pattern = names.length === 0 ? undefined : new RegExp(`(${names.join('|')})`);
    const spaced = SpacedBpe.of(json);
    if (spaced !== undefined) {
      const cut = (text: string, first: boolean): readonly string[] => spaced.cut(text, first);
      return new WordEncoder(cut, added, pattern, (word) => spaced.encode(word));
    }
    const split = splitOf(json.pre_tokenizer);
    if (split === undefined) return undefined;
    const empty = { type: 'BPE', vocab: {}, merges: [] };
    const splitter = new Tokenizer({ ...json, pre_tokenizer: split, added_tokens: [], model: empty }, {}).pre_tokenizer;
    if (splitter === null) return undefined;
    const expression = 'pattern' in splitter && splitter.pattern instanceof RegExp ? splitter.pattern : undefined;
    const cut = (text: string): readonly string[] => wholeCut(text, expression) ?? splitter.pre_tokenize_text(text);
    const bpe = ByteBpe.of(json);
    const encodeAlone = (word: string): Encoded | undefined => {
      const alone = cut(word);
      return alone.length === 1 && alone[0] === word ? encodeWhole(word) : undefined;
    };
    return new WordEncoder(cut, added, pattern, (word) => {
      const encoded = bpe?.encode(word) ?? encodeAlone(word);
      return encoded?.ends.at(-1) === Buffer.byteLength(word) ? encoded : undefined;
    });
  }

  /** @returns undefined where the text has to be encoded as a whole */
  encode(text: string): Encoded | undefined {
    const ids: number[] = [];
    const ends: number[] = [];
    let offset = 0;
    const sections = this.addedPattern === undefined ? [text] : text.split(this.addedPattern);
    for (const [i, section] of sections.entries()) {
      if (section === '') continue;
      const id = i % 2 === 1 ? this.added.get(section) : undefined;
      if (id !== undefined) {
        offset += Buffer.byteLength(section);
        ids.push(id);
        ends.push(offset);
        continue;
      }
      for (const word of this.cut(section, i === 0)) {
        const at = this.words.get(word);
        if (at === undefined) {
          const met = this.meet(word);
          if (met === undefined) return undefined;
          for (const id of met.ids) ids.push(id);
          for (const end of met.ends) ends.push(offset + end);
          offset += met.ends.at(-1) ?? 0;
          continue;
        }
        const { pool } = this;
        const last = at + 2 * (pool[at] ?? 0);
        for (let token = at + 1; token < last; token += 2) {
          ids.push(pool[token] ?? 0);
          ends.push(offset + (pool[token + 1] ?? 0));
        }
        offset += pool[last] ?? 0;
      }
    }
    return { ids, ends };
  }

  private meet(word: string): Encoded | undefined {
    const encoded = this.encodeWord(word);
    if (encoded !== undefined && word.length <= maxWordLength) this.keep(word, encoded);
    return encoded;
  }

  private keep(word: string, { ids, ends }: Encoded): void {
    if (this.words.size >= maxWords) {
      this.words.clear();
      this.used = 0;
    }
    if (this.used + 1 + 2 * ids.length > this.pool.length) {
      const larger = new Int32Array(2 * this.pool.length);
      larger.set(this.pool);
      this.pool = larger;
    }
    this.words.set(word.length > copiedLength ? Buffer.from(word, 'utf16le').toString('utf16le') : word, this.used);
    this.pool[this.used++] = ids.length;
    for (const [i, id] of ids.entries()) {
      this.pool[this.used++] = id;
      this.pool[this.used++] = ends[i] ?? 0;
    }
  }
}

/** The expression's matches, where they are the whole text: much faster than with the place of each. */
function wholeCut(text: string, expression: RegExp | undefined): readonly string[] | undefined {
  if (expression?.global !== true || expression.sticky) return undefined;
  const matches = text.match(expression);
  if (matches === null) return undefined;
  let length = 0;
  for (const match of matches) {
    if (match === '') return undefined;
    length += match.length;
  }
  return length === text.length ? matches : undefined;
}

/** The regular expression's part of `Sequence[Split, ByteLevel]`; undefined for any other pre-tokenizer. */
function splitOf(part: unknown): Readonly<Record<string, unknown>> | undefined {
  if (!isObject(part) || part.type !== 'Sequence' || !Array.isArray(part.pretokenizers)) return undefined;
  const [split, bytes, ...more]: unknown[] = part.pretokenizers;
  const isSplit = isObject(split) && split.type === 'Split' && split.behavior === 'Isolated' && split.invert !== true;
  const isBytes =
    isObject(bytes) && bytes.type === 'ByteLevel' && bytes.use_regex === false && bytes.add_prefix_space !== true;
  return isSplit && isBytes && more.length === 0 ? split : undefined;
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

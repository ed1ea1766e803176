/**
 * Fast encoding by a cache of words. Byte-level tokenizers (GPT-2's kind: Llama 3, Qwen) cut a text at added tokens, then into words
 * by one regular expression, and each word's tokens depend on the word alone. So each word is tokenised once: by the inner loop of
 * `bpe.ts`, or by the library where the model is another than plain byte-level BPE.
 *
 * Safe because the cuts are the library's own (its splitter, run on its own) and every word is checked when it is first met: its tokens
 * have to cover it and, where the library tokenises it, cut alone it has to stay whole. Whatever is not so is left to the slow way.
 *
 * SentencePiece's BPE (Llama 2, Mistral) takes a text as one word. Of two characters that no merge's token has side by side, such as
 * a letter with a space after it, none has both either: cut between them the text has the same tokens.
 */

import { Tokenizer } from '@huggingface/tokenizers';
import { ByteBpe } from './bpe.js';
import { isObject } from './files.js';

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
   * @param encodeSpaced as its model tokenises a word of SentencePiece; `wordStart` before a word stands for a space that the text lacks
   */
  static of(
    json: Readonly<Record<string, unknown>>,
    config: Readonly<Record<string, unknown>>,
    encodeWhole: (word: string) => Encoded,
    encodeSpaced: (word: string) => Encoded | undefined,
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
    const cutSpaced = spacedCut(json);
    if (cutSpaced !== undefined) return new WordEncoder(cutSpaced, added, pattern, encodeSpaced);
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

/** SentencePiece's space, which normalised texts do not hold. */
export const wordStart = '\u2581';

type SpacedCut = (text: string, first: boolean) => readonly string[];

/** How texts are cut for a model that is plain BPE over texts whose spaces are characters; undefined for any other. */
function spacedCut(json: Readonly<Record<string, unknown>>): SpacedCut | undefined {
  const start = startOf(json);
  const { model } = json;
  if (start === undefined || !isObject(model) || model.type !== 'BPE' || !Array.isArray(model.merges)) return undefined;
  if (model.ignore_merges === true) return undefined;
  if ([model.continuing_subword_prefix, model.continuing_subword_suffix, model.end_of_word_suffix].some(Boolean))
    return undefined;
  const neighbours = new Neighbours();
  for (const merge of model.merges) {
    const parts: unknown[] = typeof merge === 'string' ? merge.split(' ') : Array.isArray(merge) ? merge : [];
    const [left, right] = parts;
    if (typeof left !== 'string' || typeof right !== 'string' || parts.length > 2) return undefined;
    // Tokens of a byte stand for text that is none of theirs.
    if (byteToken.test(left) || byteToken.test(right)) return undefined;
    neighbours.add((left + right).replaceAll(wordStart, ' '));
  }
  return (text, first) => {
    const words = neighbours.cut(text, start.split);
    const [head, ...rest] = words;
    if (head === undefined || start.prepend === 'never' || (start.prepend === 'first' && !first)) return words;
    return start.unlessSpace && text.startsWith(' ') ? words : [wordStart + head, ...rest];
  };
}

const byteToken = /^<0x[0-9A-F]{2}>$/;
const space = 0x20;

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

/** A model's tokenizer: ids, and for each token the bytes of the text that it stands for. */

import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { LabError } from '../../core/errors.js';
import { byteCharacters } from './bpe.js';
import { isObject, readObject } from './files.js';
import { type Encoded, WordEncoder } from './words.js';

export class ModelTokenizer {
  readonly bosToken: string | undefined;
  readonly eosToken: string | undefined;
  /** Special tokens by name, as templates see them (`bos_token`, `eos_token`, ...). */
  readonly specialTokens: Readonly<Record<string, string>>;
  /** Texts of added tokens (special ones and others): the tokenizer never splits them. */
  readonly addedTokens: ReadonlySet<string>;
  private readonly inner: Tokenizer;
  private readonly normalizesNfc: boolean;
  /** Text of each token seen so far, as it stands in a text. */
  private readonly pieces = new Map<number, Buffer>();
  private readonly addedIds: ReadonlySet<number>;
  private readonly byteLevel: boolean;
  private readonly words: WordEncoder | undefined;

  constructor(directory: string) {
    const stored = readObject(directory, 'tokenizer.json');
    if (stored === undefined) {
      throw new LabError('has no tokenizer.json', {
        place: { file: directory },
        advice: 'Save the tokenizer in the fast format: AutoTokenizer.from_pretrained(...).save_pretrained(folder).',
      });
    }
    const json: Readonly<Record<string, unknown>> = { ...stored, pre_tokenizer: spelledOut(stored.pre_tokenizer) };
    const config = readObject(directory, 'tokenizer_config.json') ?? {};
    try {
      this.inner = new Tokenizer(json, config);
    } catch (cause) {
      throw new LabError(`cannot be used: ${cause instanceof Error ? cause.message : String(cause)}`, {
        place: { file: join(directory, 'tokenizer.json') },
        cause,
      });
    }
    const added = this.inner.get_added_tokens_decoder();
    this.addedIds = new Set(added.keys());
    this.addedTokens = new Set([...added.values()].map(({ content }) => content));
    // Older models name their special tokens in a file apart.
    const named = { ...readObject(directory, 'special_tokens_map.json'), ...config };
    this.specialTokens = Object.fromEntries(
      Object.entries(named).flatMap(([name, value]): [string, string][] => {
        if (!name.endsWith('_token')) return [];
        if (typeof value === 'string') return [[name, value]];
        return isObject(value) && typeof value.content === 'string' ? [[name, value.content]] : [];
      }),
    );
    this.bosToken = this.specialTokens.bos_token;
    this.eosToken = this.specialTokens.eos_token;
    this.normalizesNfc = hasType(json.normalizer, 'NFC');
    this.byteLevel = hasType(json.pre_tokenizer, 'ByteLevel') || hasType(json.decoder, 'ByteLevel');
    this.words = WordEncoder.of(json, config, (word) => this.encodeWhole(word));
  }

  id(token: string): number | undefined {
    return this.inner.token_to_id(token);
  }

  /** Tokens that the tokenizer itself puts before every text (a BOS, if any). */
  prefix(): readonly number[] {
    const text = 'a';
    const plain = this.inner.encode(text, { add_special_tokens: false }).ids;
    const full = this.inner.encode(text, { add_special_tokens: true }).ids;
    const first = plain[0];
    const start = first === undefined ? 0 : full.indexOf(first);
    return start > 0 ? full.slice(0, start) : [];
  }

  /** The text as the tokenizer normalises it, so that places in it are places in what is tokenised. */
  normalize(text: string): string {
    const normal = this.normalizesNfc ? text.normalize('NFC') : text;
    // SentencePiece writes a space as this character, and so takes the one for the other.
    return this.byteLevel ? normal : normal.replaceAll('\u2581', ' ');
  }

  decode(ids: readonly number[], skipSpecial: boolean): string {
    return ids.length === 0
      ? ''
      : this.inner.decode([...ids], { skip_special_tokens: skipSpecial, clean_up_tokenization_spaces: false });
  }

  /** The text of each token; a character that several tokens make is the last one's. */
  textsOf(ids: Iterable<number>): string[] {
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    const texts = Array.from(ids, (id) => decoder.decode(this.piece(id), { stream: true }));
    // Bytes that never became a character.
    const rest = decoder.decode();
    return rest === '' ? texts : texts.map((text, i) => (i === texts.length - 1 ? text + rest : text));
  }

  /**
   * Encodes a normalised text without adding special tokens.
   *
   * @throws LabError where tokens cannot be laid along the text, because the tokenizer changes it
   */
  encode(text: string): Encoded {
    return this.words?.encode(text) ?? this.encodeWhole(text);
  }

  /** As `encode`, without the cache of words. */
  encodeWhole(text: string): Encoded {
    const ids = text === '' ? [] : this.inner.encode(text, { add_special_tokens: false }).ids;
    const bytes = Buffer.from(text, 'utf8');
    const ends = this.endsOf(ids, bytes);
    const at = ends.at(-1) ?? 0;
    if (!isBlank(bytes.subarray(at))) throw changed(bytes, at, 'ends');
    return { ids, ends };
  }

  private endsOf(ids: readonly number[], bytes: Buffer): number[] {
    let at = 0;
    return ids.map((id) => {
      at = this.follow(bytes, at, id);
      return at;
    });
  }

  /** Where the token `id` ends that begins at or after byte `at`. */
  private follow(bytes: Buffer, at: number, id: number): number {
    const piece = this.piece(id);
    // A tokenizer may put a space before a text that has none (Llama 2), and added tokens may swallow the space around them.
    for (let start = at; start <= bytes.length; start++) {
      if (standsAt(bytes, start, piece, 0)) return start + piece.length;
      if (start === at && piece[0] === 0x20 && standsAt(bytes, at, piece, 1)) return at + piece.length - 1;
      const byte = bytes[start];
      if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d) break;
    }
    throw changed(bytes, at, `puts token ${id} ${JSON.stringify(piece.toString('utf8'))}`);
  }

  /** Whether it is an added token (special ones and others), which the tokenizer never splits. */
  isAdded(id: number): boolean {
    return this.addedIds.has(id);
  }

  /** The bytes that a token stands for. */
  piece(id: number): Buffer {
    const known = this.pieces.get(id);
    if (known !== undefined) return known;
    const token = this.inner.id_to_token(id) ?? '';
    const piece = this.addedIds.has(id)
      ? Buffer.from(token, 'utf8')
      : this.byteLevel
        ? fromByteLevel(token)
        : fromMetaspace(token);
    this.pieces.set(id, piece);
    return piece;
  }
}

function isBlank(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d);
}

function changed(bytes: Buffer, at: number, what: string): LabError {
  const context = JSON.stringify(bytes.subarray(at, at + 24).toString('utf8'));
  return new LabError(`the tokenizer changes the text: it ${what} where the text goes on with ${context}`, {
    advice:
      'Which tokens are trained on cannot be told for such a tokenizer (an unknown token, or a lossy normalizer).',
  });
}

/** Whether `piece`, from its byte `from` on, stands at `at`. A loop is several times faster here than views to compare. */
function standsAt(bytes: Buffer, at: number, piece: Buffer, from: number): boolean {
  for (let i = from; i < piece.length; i++) if (bytes[at + i - from] !== piece[i]) return false;
  return true;
}

/**
 * GPT-2's expression, which `ByteLevel` implies, as a part of its own: the library then reads `\s` as Python's does, by which U+0085 is
 * white space and U+FEFF is none.
 */
function spelledOut(part: unknown): unknown {
  if (!isObject(part) || part.type !== 'ByteLevel' || part.use_regex === false || part.add_prefix_space === true)
    return part;
  const Regex = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
  const split = { type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false };
  return { type: 'Sequence', pretokenizers: [split, { ...part, use_regex: false }] };
}

/** Whether a part of tokenizer.json (or one of those it is a sequence of) has the type. */
function hasType(part: unknown, type: string): boolean {
  if (Array.isArray(part)) return part.some((one) => hasType(one, type));
  if (!isObject(part)) return false;
  return part.type === type || hasType(part.normalizers ?? part.pretokenizers ?? part.decoders, type);
}

const byteOfChar: ReadonlyMap<string, number> = new Map(byteCharacters.map((character, byte) => [character, byte]));

function fromByteLevel(token: string): Buffer {
  const bytes: number[] = [];
  for (const char of token) {
    const byte = byteOfChar.get(char);
    if (byte === undefined) return Buffer.from(token, 'utf8');
    bytes.push(byte);
  }
  return Buffer.from(bytes);
}

/** SentencePiece's writing: U+2581 for a space, `<0x41>` for a byte. */
function fromMetaspace(token: string): Buffer {
  const byte = /^<0x([0-9A-F]{2})>$/.exec(token);
  return byte?.[1] === undefined
    ? Buffer.from(token.replaceAll('\u2581', ' '), 'utf8')
    : Buffer.from([Number.parseInt(byte[1], 16)]);
}

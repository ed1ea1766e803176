/** Models with random weights as Hugging Face folders: config, weights, and a tokenizer whose every word is one token. */

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Random } from './random.js';

/** A decoder of the Llama family. */
export interface ModelShape {
  readonly name: string;
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly intermediate: number;
  readonly vocabulary: number;
  readonly tied: boolean;
}

/** Qwen2.5-0.5B's width at a third of its depth: large enough to be bound by matrix products, small enough for two cores. */
export const referenceShape: ModelShape = {
  name: 'reference',
  hidden: 896,
  layers: 8,
  heads: 14,
  kvHeads: 2,
  intermediate: 4864,
  vocabulary: 32_000,
  tied: false,
};

export const growthShapes: readonly ModelShape[] = [
  { name: '4M', hidden: 256, layers: 4, heads: 4, kvHeads: 2, intermediate: 704, vocabulary: 4096, tied: true },
  { name: '100M', hidden: 768, layers: 12, heads: 12, kvHeads: 4, intermediate: 2048, vocabulary: 32_000, tied: true },
  { name: '500M', hidden: 1024, layers: 31, heads: 16, kvHeads: 4, intermediate: 4096, vocabulary: 32_000, tied: true },
];

const endToken = '</s>';
const padToken = '<pad>';
const specials = [padToken, endToken] as const;
const maxPositions = 4096;
const seed = 1;

/** Words of the vocabulary, each a token with the space before it. */
export function words(vocabulary: number): string[] {
  const consonants = 'bcdfghjklmnpqrstvwxz';
  const vowels = 'aeiou';
  const syllables = [...consonants].flatMap((consonant) => [...vowels].map((vowel) => consonant + vowel));
  const size = syllables.length;
  const syllable = (index: number) => syllables[index % size] ?? '';
  return Array.from(
    { length: vocabulary - 256 - specials.length },
    (_, i) => syllable(i) + syllable(Math.floor(i / size)) + syllable(Math.floor(i / size ** 2)),
  );
}

/** Makes the folder where it is not there yet. Returns its path. */
export async function makeModel(shape: ModelShape, directory: string): Promise<string> {
  const key = createHash('sha256')
    .update(JSON.stringify([shape, seed, 1]))
    .digest('hex')
    .slice(0, 8);
  const folder = join(directory, `${shape.name}-${key}`);
  if (existsSync(folder)) return folder;
  const unfinished = `${folder}.tmp`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { recursive: true });
  const files = { 'config.json': configJson(shape), ...tokenizerFiles(shape.vocabulary) };
  for (const [name, value] of Object.entries(files)) {
    await writeFile(join(unfinished, name), `${JSON.stringify(value, null, 2)}\n`);
  }
  await writeWeights(join(unfinished, 'model.safetensors'), shape);
  await rename(unfinished, folder);
  return folder;
}

function configJson(shape: ModelShape): unknown {
  return {
    architectures: ['LlamaForCausalLM'],
    attention_bias: false,
    attention_dropout: 0,
    eos_token_id: 257,
    hidden_act: 'silu',
    hidden_size: shape.hidden,
    initializer_range: 0.02,
    intermediate_size: shape.intermediate,
    max_position_embeddings: maxPositions,
    mlp_bias: false,
    model_type: 'llama',
    num_attention_heads: shape.heads,
    num_hidden_layers: shape.layers,
    num_key_value_heads: shape.kvHeads,
    pad_token_id: 256,
    rms_norm_eps: 1e-6,
    rope_theta: 10000,
    tie_word_embeddings: shape.tied,
    torch_dtype: 'float32',
    use_cache: true,
    vocab_size: shape.vocabulary,
  };
}

/** The 256 characters that byte-level tokenizers write bytes as, by byte. */
function byteCharacters(): string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    return String.fromCodePoint(printable ? byte : next++);
  });
}

/** `ignore_merges`: a word that is in the vocabulary is that one token; no merges are needed. */
function tokenizerFiles(vocabulary: number): Record<string, unknown> {
  const pieces = [...byteCharacters(), ...specials, ...words(vocabulary).map((word) => `\u0120${word}`)];
  const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false };
  const flags = { lstrip: false, normalized: false, rstrip: false, single_word: false, special: true };
  const added = specials.map((content) => ({ id: pieces.indexOf(content), content, ...flags }));
  return {
    'tokenizer.json': {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: added,
      normalizer: null,
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [
          { type: 'Split', pattern: { Regex: ' ?[^ \\n]+|[ \\n]' }, behavior: 'Isolated', invert: false },
          bytes,
        ],
      },
      post_processor: bytes,
      decoder: bytes,
      model: {
        type: 'BPE',
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: true,
        vocab: Object.fromEntries(pieces.map((piece, i) => [piece, i])),
        merges: [],
      },
    },
    'tokenizer_config.json': {
      add_prefix_space: false,
      bos_token: null,
      clean_up_tokenization_spaces: false,
      eos_token: endToken,
      model_max_length: maxPositions,
      pad_token: padToken,
      tokenizer_class: 'PreTrainedTokenizerFast',
      unk_token: null,
    },
    'generation_config.json': { do_sample: false, eos_token_id: 257, pad_token_id: 256 },
  };
}

/** Name and shape of every tensor; those of one dimension are norms. */
function tensors(shape: ModelShape): [string, number[]][] {
  const { hidden, intermediate, vocabulary } = shape;
  const kv = (hidden / shape.heads) * shape.kvHeads;
  const layer = (i: number): [string, number[]][] => {
    const at = `model.layers.${i}`;
    return [
      [`${at}.input_layernorm.weight`, [hidden]],
      [`${at}.self_attn.q_proj.weight`, [hidden, hidden]],
      [`${at}.self_attn.k_proj.weight`, [kv, hidden]],
      [`${at}.self_attn.v_proj.weight`, [kv, hidden]],
      [`${at}.self_attn.o_proj.weight`, [hidden, hidden]],
      [`${at}.post_attention_layernorm.weight`, [hidden]],
      [`${at}.mlp.gate_proj.weight`, [intermediate, hidden]],
      [`${at}.mlp.up_proj.weight`, [intermediate, hidden]],
      [`${at}.mlp.down_proj.weight`, [hidden, intermediate]],
    ];
  };
  return [
    ['model.embed_tokens.weight', [vocabulary, hidden]],
    ...Array.from({ length: shape.layers }, (_, i) => layer(i)).flat(),
    ['model.norm.weight', [hidden]],
    ...(shape.tied ? [] : [['lm_head.weight', [vocabulary, hidden]] satisfies [string, number[]]]),
  ];
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

export function parameterCount(shape: ModelShape): number {
  return tensors(shape).reduce((sum, [, size]) => sum + sizeOf(size), 0);
}

/** float32 safetensors: matrices of normal values with a deviation of 0.02, norms of ones. */
async function writeWeights(path: string, shape: ModelShape): Promise<void> {
  let offset = 0;
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  for (const [name, size] of tensors(shape)) {
    header[name] = { dtype: 'F32', shape: size, data_offsets: [offset, offset + 4 * sizeOf(size)] };
    offset += 4 * sizeOf(size);
  }
  const text = Buffer.from(JSON.stringify(header));
  const padded = Buffer.concat([text, Buffer.alloc((8 - (text.length % 8)) % 8, ' ')]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  const file = await open(path, 'w');
  try {
    await writeAll(file, Buffer.concat([length, padded]));
    const random = new Random(seed);
    const chunk = new Float32Array(1 << 20);
    for (const [, size] of tensors(shape)) {
      for (let left = sizeOf(size); left > 0; left -= chunk.length) {
        const values = chunk.subarray(0, Math.min(left, chunk.length));
        if (size.length === 1) values.fill(1);
        else random.fillNormal(values, 0.02);
        await writeAll(file, Buffer.from(values.buffer, 0, values.byteLength));
      }
    }
  } finally {
    await file.close();
  }
}

async function writeAll(file: FileHandle, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at)).bytesWritten;
}

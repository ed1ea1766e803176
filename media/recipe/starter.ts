/**
 * Makes all that the starter model is pre-trained from: the corpus, the tokenizer and an untrained model folder.
 *
 *   .cache/starter/texts.jsonl, chats.jsonl   the corpus
 *   .cache/starter/model/                     config.json and tokenizer, no weights
 */

import { createWriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { makeArithmetic } from './arithmetic/index.js';
import { type CorpusOptions, corpusChats, corpusOptions, corpusTexts } from './corpus/index.js';
import { makeTickets } from './tickets/index.js';
import { json, maxPositions, specialTokens, tokenizerFiles, vocabularySize } from './tokenizer.js';

/** Texts the tokenizer's vocabulary is trained on: part of the corpus, and the training (never the held-out) examples. */
export function* tokenizerTexts(): Generator<string> {
  const some: CorpusOptions = { ...corpusOptions, texts: 8000, chats: 4000 };
  yield* corpusTexts(some);
  for (const messages of corpusChats(some)) for (const { role, content } of messages) yield* [role, content];
  for (const { instruction, input, output } of makeTickets().train) yield* [instruction, input, output];
  for (const { conversations } of makeArithmetic().train) for (const { value } of conversations) yield value;
}

/** Qwen3's shape at the size of a demo. */
export const modelConfig = {
  architectures: ['Qwen3ForCausalLM'],
  attention_bias: false,
  attention_dropout: 0,
  eos_token_id: vocabularySize - specialTokens.length + specialTokens.indexOf('<|im_end|>'),
  head_dim: 32,
  hidden_act: 'silu',
  hidden_size: 128,
  initializer_range: 0.02,
  intermediate_size: 384,
  max_position_embeddings: maxPositions,
  model_type: 'qwen3',
  num_attention_heads: 4,
  num_hidden_layers: 4,
  num_key_value_heads: 2,
  pad_token_id: vocabularySize - specialTokens.length + specialTokens.indexOf('<|endoftext|>'),
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
  tie_word_embeddings: true,
  torch_dtype: 'float32',
  use_cache: true,
  vocab_size: vocabularySize,
};

/** The starter model's folder without its weights: file name → text. */
export function starterFiles(): Readonly<Record<string, string>> {
  return { 'config.json': json(modelConfig), ...tokenizerFiles(tokenizerTexts()) };
}

export async function writeStarter(directory: string): Promise<void> {
  await mkdir(join(directory, 'model'), { recursive: true });
  for (const [name, text] of Object.entries(starterFiles())) await writeFile(join(directory, 'model', name), text);
  await writeLines(join(directory, 'texts.jsonl'), corpusTexts(), (text) => ({ text }));
  await writeLines(join(directory, 'chats.jsonl'), corpusChats(), (messages) => ({ messages }));
}

async function writeLines<T>(path: string, items: Iterable<T>, record: (item: T) => unknown): Promise<void> {
  function* lines() {
    for (const item of items) yield `${JSON.stringify(record(item))}\n`;
  }
  await pipeline(Readable.from(lines()), createWriteStream(path));
}

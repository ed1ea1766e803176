import { openSync, readFileSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { modelConfig, starterFiles } from '../../../media/recipe/starter.js';
import { parseConfig } from '../../../src/core/config-parse.js';

const media = join(import.meta.dirname, '../../../media');
const starter = (name: string): string => join(media, 'starter-model', name);
const object = z.record(z.string(), z.unknown());
const parsed = (path: string) => object.parse(JSON.parse(readFileSync(path, 'utf8')));

describe('the starter model', () => {
  it.each(Object.entries(starterFiles()))('%s is what the recipe makes', (name, text) => {
    expect(readFileSync(starter(name), 'utf8') === text).toBe(true);
  });

  it('has weights of the shapes that its config states, at most 4 million', () => {
    const file = starter('model.safetensors');
    const handle = openSync(file, 'r');
    const size = Buffer.alloc(8);
    readSync(handle, size, 0, 8, 0);
    const header = Buffer.alloc(Number(size.readBigUInt64LE()));
    readSync(handle, header, 0, header.length, 8);
    const tensor = z.object({ dtype: z.string(), shape: z.array(z.number()) });
    const { __metadata__: _, ...entries } = object.parse(JSON.parse(header.toString()));
    const tensors = z.record(z.string(), tensor).parse(entries);

    const { hidden_size, head_dim, intermediate_size, num_attention_heads, num_key_value_heads, vocab_size } =
      modelConfig;
    const shape = (name: string) => tensors[name]?.shape;
    expect(shape('model.embed_tokens.weight')).toEqual([vocab_size, hidden_size]);
    expect(shape('model.norm.weight')).toEqual([hidden_size]);
    for (let layer = 0; layer < modelConfig.num_hidden_layers; layer++) {
      const at = `model.layers.${layer}`;
      expect(shape(`${at}.self_attn.q_proj.weight`)).toEqual([num_attention_heads * head_dim, hidden_size]);
      expect(shape(`${at}.self_attn.k_proj.weight`)).toEqual([num_key_value_heads * head_dim, hidden_size]);
      expect(shape(`${at}.self_attn.q_norm.weight`)).toEqual([head_dim]);
      expect(shape(`${at}.mlp.down_proj.weight`)).toEqual([hidden_size, intermediate_size]);
    }
    const parameters = Object.values(tensors).reduce((sum, each) => sum + each.shape.reduce((a, b) => a * b, 1), 0);
    expect(parameters).toBeLessThanOrEqual(4_000_000);
    expect(statSync(file).size).toBeLessThan(16e6);
  });

  it('has a tokenizer that makes the ids transformers makes', () => {
    const tokenizer = new Tokenizer(parsed(starter('tokenizer.json')), parsed(starter('tokenizer_config.json')));
    const file = join(import.meta.dirname, '../../fixtures/starter-tokenizer/ids.json');
    const cases = z
      .array(z.object({ text: z.string(), ids: z.array(z.number()) }))
      .parse(JSON.parse(readFileSync(file, 'utf8')));
    expect(cases.length).toBeGreaterThan(20);
    for (const { text, ids } of cases) expect(tokenizer.encode(text).ids, text).toEqual(ids);
  });
});

it('is pre-trained by a config that parses', () => {
  const file = join(media, 'recipe/pretrain.sft.json');
  expect(parseConfig(readFileSync(file, 'utf8'), file).initialize_model).toBe(true);
});

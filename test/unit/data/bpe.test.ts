/** Ids as the Python package `tokenizers` gives them, over scripts, emoji, code and what invalid UTF-8 is read as. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { ByteBpe } from '../../../src/data/text/bpe.js';
import { ModelTokenizer } from '../../../src/data/text/tokenizer.js';
import { temporaryFolder } from './support.js';

const folder = fileURLToPath(new URL('../../fixtures/bpe/', import.meta.url));
const read = (name: string): unknown =>
  JSON.parse(gunzipSync(readFileSync(join(folder, `${name}.json.gz`))).toString());

/** A tokenizer, texts, and the ids that they have. */
function fixture(name: string, corpus: string) {
  const json = z.record(z.string(), z.unknown()).parse(read(`${name}.tokenizer`));
  const expected = z.array(z.array(z.number())).parse(read(`${name}.ids`));
  const directory = temporaryFolder();
  writeFileSync(join(directory, 'tokenizer.json'), JSON.stringify(json));
  writeFileSync(join(directory, 'tokenizer_config.json'), '{"tokenizer_class": "PreTrainedTokenizerFast"}');
  return { json, expected, tokenizer: new ModelTokenizer(directory), texts: z.array(z.string()).parse(read(corpus)) };
}

describe.each([
  ['gpt2', 'corpus'],
  ['llama3', 'corpus'],
  ['qwen', 'corpus'],
  ['mistral', 'spaced'],
  ['metaspace', 'spaced'],
])('%s', (name, corpus) => {
  const { expected, tokenizer, texts } = fixture(name, corpus);

  test('the whole corpus, none of it the slow way', () => {
    const slow = vi.spyOn(tokenizer, 'encodeWhole');
    const wrong = texts.flatMap((text, i) => {
      const normal = tokenizer.normalize(text);
      slow.mockClear();
      const { ids, ends } = tokenizer.encode(normal);
      if (corpus === 'spaced') expect(slow).not.toHaveBeenCalled();
      expect(ends.at(-1) ?? 0).toBe(Buffer.byteLength(normal));
      const want = expected[i] ?? [];
      const at = want.findIndex((id, k) => ids[k] !== id);
      return at < 0 && ids.length === want.length
        ? []
        : [{ i, at, ids: ids.slice(at, at + 5), want: want.slice(at, at + 5) }];
    });
    expect(wrong).toEqual([]);
  });
});

describe.each(['gpt2', 'llama3', 'qwen'])('%s', (name) => {
  const { json, tokenizer } = fixture(name, 'corpus');

  test('the inner loop is ours, and gives what the library gives word by word', () => {
    const bpe = ByteBpe.of(json);
    if (bpe === undefined) throw new Error('not plain byte-level BPE');
    for (const word of [
      'hello',
      ' wörld',
      '東京',
      'a'.repeat(95),
      'a'.repeat(97),
      'ab'.repeat(3000),
      '🙂'.repeat(200),
    ]) {
      expect(bpe.encode(word)).toEqual(tokenizer.encodeWhole(word));
    }
  });
});

test('a word of a megabyte takes no quadratic time', () => {
  const bpe = ByteBpe.of(z.record(z.string(), z.unknown()).parse(read('qwen.tokenizer')));
  const begin = performance.now();
  const word = 'abcdefghij'.repeat(100_000);
  expect(bpe?.encode(word).ends.at(-1)).toBe(word.length);
  expect(performance.now() - begin).toBeLessThan(15_000);
});

test.each([
  [{ type: 'BPE', vocab: {}, merges: [] }],
  [{ type: 'WordPiece', vocab: {} }],
  [{ type: 'BPE', vocab: { a: 0 }, merges: ['a b'] }],
])('another model is left to the library: %j', (model) => {
  expect(ByteBpe.of({ model })).toBeUndefined();
});

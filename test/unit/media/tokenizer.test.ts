import { Template } from '@huggingface/jinja';
import { Tokenizer } from '@huggingface/tokenizers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { byteAlphabet, countWords, trainBpe } from '../../../media/recipe/bpe.js';
import { makeTickets } from '../../../media/recipe/tickets/index.js';
import { chatTemplate, tokenizerFiles, vocabularySize } from '../../../media/recipe/tokenizer.js';

/** A tokenizer trained in a moment: on some tickets. */
const files = tokenizerFiles(makeTickets().train.map(({ input }) => input));
const object = z.record(z.string(), z.unknown());
const parsed = (name: string) => object.parse(JSON.parse(files[name] ?? ''));
const tokenizer = new Tokenizer(parsed('tokenizer.json'), parsed('tokenizer_config.json'));
const roundTrip = (text: string): string =>
  tokenizer.decode(tokenizer.encode(text).ids, { skip_special_tokens: false, clean_up_tokenization_spaces: false });

describe('trainBpe', () => {
  it('merges the most frequent pair first, and of equals the one with the lowest ids', () => {
    const { vocabulary, merges } = trainBpe(new Map(Object.entries({ abab: 3, cd: 3, ac: 2 })), 256 + 5);
    const text = merges.map(([first, second]) => `${vocabulary[first]}+${vocabulary[second]}`);
    expect(text).toEqual(['a+b', 'c+d', 'ab+ab', 'a+c']);
    expect(vocabulary.slice(256)).toEqual(['ab', 'cd', 'abab', 'ac']);
  });

  it('keeps count where a pair overlaps itself', () => {
    const { vocabulary } = trainBpe(new Map([['aaaaa', 2]]), 256 + 3);
    expect(vocabulary.slice(256)).toEqual(['aa', 'aaa', 'aaaaa']);
  });

  it('agrees with counting everything anew before each merge', () => {
    const counts = countWords(
      makeTickets()
        .train.slice(0, 60)
        .map(({ input }) => input),
    );
    const fast = trainBpe(counts, 256 + 150);
    let words = [...counts].map(([text, count]) => ({ ids: [...new TextEncoder().encode(text)], count }));
    for (let merged = 256; merged < 256 + 150; merged++) {
      const pairs = new Map<string, { first: number; second: number; count: number }>();
      for (const { ids, count } of words) {
        ids.slice(1).forEach((second, i) => {
          const first = ids[i] ?? 0;
          const pair = pairs.get(`${first} ${second}`) ?? { first, second, count: 0 };
          pairs.set(`${first} ${second}`, { ...pair, count: pair.count + count });
        });
      }
      const order = [...pairs.values()].sort((a, b) => b.count - a.count || a.first - b.first || a.second - b.second);
      const best = order[0];
      expect(fast.merges[merged - 256]).toEqual([best?.first, best?.second]);
      words = words.map(({ ids, count }) => {
        const out: number[] = [];
        for (const id of ids) {
          // Only an unmerged predecessor can be merged with, and a merged one has a new id.
          if (out.at(-1) === best?.first && id === best?.second) out[out.length - 1] = merged;
          else out.push(id);
        }
        return { ids: out, count };
      });
    }
  });

  it('has one printable character for each byte', () => {
    expect(new Set(byteAlphabet).size).toBe(256);
    expect([byteAlphabet[0x41], byteAlphabet[0x20], byteAlphabet[0x0a]]).toEqual(['A', 'Ġ', 'Ċ']);
  });
});

describe('the tokenizer', () => {
  it('gives back any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }), (text) => {
        expect(roundTrip(text)).toBe(text);
      }),
      { numRuns: 500, seed: 1 },
    );
  });

  it.each([
    "it's  two spaces \n\n and\tlines\r\n",
    '日本語 naïve 🙂👍🏽 \u00a0\u3000\ufeff',
    '   ',
    '3.14',
    '<|im_start|>user\n',
  ])('gives back %j', (text) => expect(roundTrip(text)).toBe(text));

  it('cuts numbers into digits, and keeps special tokens whole', () => {
    expect(tokenizer.encode('12<|im_end|>3').tokens).toEqual(['1', '2', '<|im_end|>', '3']);
  });

  it('has as many tokens as stated, the special ones last', () => {
    const { model, added_tokens } = z
      .object({
        model: z.object({ vocab: z.record(z.string(), z.number()) }),
        added_tokens: z.array(z.object({ id: z.number() })),
      })
      .parse(parsed('tokenizer.json'));
    const ids = [...Object.values(model.vocab), ...added_tokens.map(({ id }) => id)].sort((a, b) => a - b);
    expect(ids).toEqual(Array.from({ length: vocabularySize }, (_, i) => i));
    expect(added_tokens.map(({ id }) => id)).toEqual([2045, 2046, 2047]);
  });

  it('is deterministic', () => {
    expect(tokenizerFiles(makeTickets().train.map(({ input }) => input))).toEqual(files);
  });

  it('refuses to make a smaller vocabulary than stated', () => {
    expect(() => tokenizerFiles(['too little'])).toThrow('Too little text');
  });
});

it('renders ChatML', () => {
  const messages = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: ' Hi ' },
    { role: 'assistant', content: 'Hello!' },
  ];
  const system = '<|im_start|>system\nBe brief.<|im_end|>\n';
  const user = '<|im_start|>user\n Hi <|im_end|>\n';
  const template = new Template(chatTemplate);
  expect(template.render({ messages, add_generation_prompt: false })).toBe(
    `${system}${user}<|im_start|>assistant\nHello!<|im_end|>\n`,
  );
  expect(template.render({ messages: messages.slice(0, 2), add_generation_prompt: true })).toBe(
    `${system}${user}<|im_start|>assistant\n`,
  );
});

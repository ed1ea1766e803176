/** Ids, renderings and loss masks against Hugging Face's own (test/reference/make_data_fixtures.py). */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { Example, Message } from '../../../src/core/data.js';
import { ExampleTokenizer } from '../../../src/data/text/examples.js';
import { ModelTokenizer } from '../../../src/data/text/tokenizer.js';

const fixtures = fileURLToPath(new URL('../../fixtures/data/', import.meta.url));
const read = <T>(file: string, schema: z.ZodType<T>): T =>
  schema.parse(JSON.parse(readFileSync(`${fixtures}${file}`, 'utf8')));

const messageSchema = z.object({ role: z.enum(['system', 'user', 'assistant']), content: z.string() });
const { templates, cases } = read(
  'templates.json',
  z.object({
    templates: z.record(z.string(), z.object({ tokenizer: z.string(), marked: z.string(), plain: z.string() })),
    cases: z.array(
      z.object({
        template: z.string(),
        conversation: z.string(),
        messages: z.array(messageSchema),
        refused: z.boolean().optional(),
        text: z.string().optional(),
        ids: z.array(z.number()).optional(),
        mask: z.array(z.number()).optional(),
      }),
    ),
  }),
);

function tokenizerOf(template: string, form: 'marked' | 'plain'): ExampleTokenizer {
  const shape = templates[template];
  if (shape === undefined) throw new Error(`no template ${template}`);
  return new ExampleTokenizer({
    modelDirectory: `${fixtures}${shape.tokenizer}`,
    chatTemplate: shape[form],
    promptPrefix: '',
    instructionResponseSeparator: '\n',
  });
}

function chat(messages: readonly Message[]): Example {
  return { kind: 'chat', place: { file: 'x.jsonl', index: 0, line: 1 }, messages };
}

describe.each(['qwen', 'llama3', 'llama2'])('the %s tokenizer', (name) => {
  const tokenizer = new ModelTokenizer(`${fixtures}${name}`);
  const texts = read(`${name}/ids.json`, z.array(z.object({ text: z.string(), ids: z.array(z.number()) })));

  test.each(texts)('gives the ids of Hugging Face tokenizers for $text', ({ text, ids }) => {
    expect(tokenizer.encode(tokenizer.normalize(text)).ids).toEqual(ids);
  });

  test.each(texts.filter(({ text }) => text !== ''))('lays its tokens along $text without a gap', ({ text }) => {
    const normal = tokenizer.normalize(text);
    const { ends } = tokenizer.encode(normal);
    expect(ends.at(-1)).toBe(Buffer.byteLength(normal));
    expect(ends).toEqual([...ends].sort((a, b) => a - b));
  });
});

describe.each(['marked', 'plain'] as const)('%s templates', (form) => {
  test.each(cases.filter(({ refused }) => refused !== true))(
    '$template, $conversation: ids and mask are those of transformers',
    ({ template, messages, ids, mask }) => {
      const tokenizer = tokenizerOf(template, form);
      const example = tokenizer.tokenize(chat(messages), 'completion', 10_000);
      expect([...example.tokens]).toEqual(ids);
      // transformers marks the first token too where an answer begins the text; it is never a target here.
      expect([...example.mask]).toEqual(mask);
      expect(example.truncated).toBe(0);
    },
  );

  test.each(cases.filter(({ refused }) => refused === true))(
    '$template, $conversation: the refusal is an error',
    (item) => {
      const tokenizer = tokenizerOf(item.template, form);
      expect(() => tokenizer.tokenize(chat(item.messages), 'completion', 100)).toThrow(/chat template refuses/);
    },
  );

  test('every completion ends with the stop token, and no header is trained on', () => {
    for (const { template, messages, refused } of cases) {
      if (refused === true || messages.at(-1)?.role !== 'assistant') continue;
      const tokenizer = tokenizerOf(template, form);
      const { tokens, mask } = tokenizer.tokenize(chat(messages), 'completion', 10_000);
      const ends = [...mask].flatMap((one, i) => (one === 1 && mask[i + 1] !== 1 ? [tokens[i]] : []));
      expect(ends.every((token) => token !== undefined && tokenizer.stopTokens.includes(token))).toBe(true);
      // Answers that stand directly one behind the other (no text between) would make one span; these templates have none.
      expect(ends).toHaveLength(messages.filter(({ role }) => role === 'assistant').length);
    }
  });
});

test('the prompt is what the training tokens begin with, up to the last answer', () => {
  for (const { template, messages, refused } of cases) {
    if (refused === true || messages.at(-1)?.role !== 'assistant') continue;
    const tokenizer = tokenizerOf(template, 'plain');
    const example = chat(messages);
    const prompt = tokenizer.prompt(example)?.prompt ?? new Int32Array();
    const { tokens, mask } = tokenizer.tokenize(example, 'completion', 10_000);
    expect([...tokens.subarray(0, prompt.length)]).toEqual([...prompt]);
    expect(mask.subarray(prompt.length).includes(1)).toBe(true);
    expect(mask.lastIndexOf(0, mask.lastIndexOf(1)) + 1).toBe(prompt.length);
  }
});

describe('without a template', () => {
  const tokenizer = new ExampleTokenizer({
    modelDirectory: `${fixtures}llama3`,
    promptPrefix: '### Instruction:\n',
    instructionResponseSeparator: '\n\n### Response:\n',
  });
  const example = chat([
    { role: 'user', content: 'Name a colour.' },
    { role: 'assistant', content: 'Blue.' },
  ]);

  test('separators stand between prompt and completion, the beginning and the end of text around them', () => {
    const { tokens } = tokenizer.tokenize(example, 'completion', 100);
    expect(tokenizer.tokenizer.decode([...tokens], false)).toBe(
      '<|begin_of_text|>### Instruction:\nName a colour.\n\n### Response:\nBlue.<|end_of_text|>',
    );
  });

  test('the completion and the end of text are trained on, nothing else', () => {
    const { tokens, mask } = tokenizer.tokenize(example, 'completion', 100);
    expect(
      tokenizer.tokenizer.decode(
        [...tokens].filter((_, i) => mask[i] === 1),
        false,
      ),
    ).toBe('Blue.<|end_of_text|>');
  });

  test('loss on all leaves out the first token alone', () => {
    const { mask } = tokenizer.tokenize(example, 'all', 100);
    expect(mask[0]).toBe(0);
    expect(mask.subarray(1).every((one) => one === 1)).toBe(true);
  });

  test('max_length cuts the end off and counts it', () => {
    const whole = tokenizer.tokenize(example, 'completion', 100);
    const cut = tokenizer.tokenize(example, 'completion', 10);
    expect(cut.tokens).toEqual(whole.tokens.slice(0, 10));
    expect(cut.truncated).toBe(whole.tokens.length - 10);
  });
});

test('a template whose tokens the tokenizer lacks is found out', () => {
  const tokenizer = new ExampleTokenizer({
    modelDirectory: `${fixtures}llama3`,
    chatTemplate: templates.chatml?.plain ?? '',
    promptPrefix: '',
    instructionResponseSeparator: '',
  });
  expect(tokenizer.missingTokens()).toEqual(['<|im_start|>', '<|im_end|>']);
});

test('a template that drops the answer is refused', () => {
  const options = { modelDirectory: `${fixtures}qwen`, promptPrefix: '', instructionResponseSeparator: '' };
  expect(() => new ExampleTokenizer({ ...options, chatTemplate: 'always the same' })).toThrow(/leaves out/);
});

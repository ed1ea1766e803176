import { describe, expect, it } from 'vitest';
import type { ExampleTokenizer } from '../../../src/data/text/examples.js';
import { chat, encodedTexts, exampleTokenizer, reference, type TokenizerName, templateText } from './support.js';

const { conversations, cases } = reference();
const opened = new Map<string, ExampleTokenizer>();

function tokenizerOf(tokenizer: TokenizerName, template: string): ExampleTokenizer {
  const known = opened.get(template) ?? exampleTokenizer(tokenizer, templateText(template));
  opened.set(template, known);
  return known;
}

describe.each([...new Set(cases.map(({ template }) => template))])(
  'template %s, as transformers has it',
  (template) => {
    for (const expected of cases.filter((one) => one.template === template)) {
      const example = chat(conversations[expected.conversation] ?? []);
      it(`conversation ${expected.conversation}`, () => {
        const tokenizer = tokenizerOf(expected.tokenizer, template);
        if ('refused' in expected) {
          expect(() => tokenizer.tokenize(example, 'completion', 4096)).toThrow(expected.refused);
          return;
        }
        const { tokens, mask, groups } = tokenizer.tokenize(example, 'completion', 4096);
        expect(Array.from(tokens)).toEqual(expected.ids);
        expect(Array.from(mask).join('')).toBe(expected.mask);
        expect(Array.from(groups, (group) => group - 1).join('')).toBe(expected.mask);
        expect(Array.from(tokenizer.prompt(example)?.prompt ?? [])).toEqual(expected.prompt);
      });
    }
  },
);

describe.each(Object.entries(encodedTexts()))('tokenizer %s', (name, texts) => {
  it.each(texts)('encodes $text as the reference does', ({ text, ids }) => {
    const { tokenizer } = exampleTokenizer(name as TokenizerName);
    expect(tokenizer.encode(tokenizer.normalize(text)).ids).toEqual(ids);
  });
});

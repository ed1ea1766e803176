/** What holds of tokens and masks for every template, and the cases that the reference does not have. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Message } from '../../../src/core/data.js';
import { ExampleTokenizer } from '../../../src/data/text/examples.js';
import { replaceCalls, strftime, stripCharacters } from '../../../src/data/text/python-calls.js';
import { ChatTemplate } from '../../../src/data/text/template.js';
import { ModelTokenizer } from '../../../src/data/text/tokenizer.js';
import {
  chat,
  exampleTokenizer,
  jsonl,
  modelFolder,
  type TokenizerName,
  templateText,
  tokenizerFolder,
} from './support.js';

const user = (content: string) => ({ role: 'user', content });
const says = (content: string, more: object = {}) => ({ role: 'assistant', content, ...more });

const templates: readonly (readonly [string, TokenizerName])[] = [
  ['chatml', 'qwen'],
  ['chatml-generation', 'qwen'],
  ['qwen2.5', 'qwen'],
  ['qwen3', 'qwen'],
  ['headerless', 'qwen'],
  ['llama3', 'llama3'],
  ['llama3-generation', 'llama3'],
  ['llama2', 'llama2'],
  ['mistral-v0.1', 'llama2'],
  ['mistral-v0.3', 'llama2'],
];

/** The texts of the runs of trained tokens. */
function trained(tokenizer: ExampleTokenizer, messages: readonly unknown[]): string[] {
  const { tokens, mask } = tokenizer.tokenize(chat(messages), 'completion', 10_000);
  const runs: number[][] = [];
  tokens.forEach((token, i) => {
    if (mask[i] !== 1) return;
    if (mask[i - 1] === 1) runs.at(-1)?.push(token);
    else runs.push([token]);
  });
  return runs.map((run) => tokenizer.tokenizer.decode(run, false));
}

describe.each(templates)('%s', (name, family) => {
  const tokenizer = exampleTokenizer(family, templateText(name));
  // Letters alone, so that no text looks like a part of a template.
  const word = fc
    .string({ unit: fc.constantFrom(...'abc é東🙂.,1'), minLength: 1, maxLength: 12 })
    .map((text) => `x${text}x`);
  const talk = fc.array(fc.tuple(word, word), { minLength: 1, maxLength: 4 });

  it('trains each answer with its end of turn, and nothing else', () => {
    fc.assert(
      fc.property(talk, (turns) => {
        const runs = trained(
          tokenizer,
          turns.flatMap(([question, answer]) => [user(question), says(answer)]),
        );
        expect(
          runs.map((run) =>
            run
              .replace('<think>\n\n</think>\n\n', '')
              .replace(/ ?(<\|\w+\|>|<\/s>)$/, '')
              .trim(),
          ),
        ).toEqual(turns.map(([, answer]) => answer.normalize('NFC')));
        for (const run of runs) expect(run).toMatch(/(<\|im_end\|>|<\|eot_id\|>|<\/s>)$/);
      }),
      { numRuns: 60 },
    );
  });

  it('makes prompts that the training tokens begin with, up to the last answer', () => {
    fc.assert(
      fc.property(talk, (turns) => {
        const example = chat(turns.flatMap(([question, answer]) => [user(question), says(answer)]));
        const prompt = tokenizer.prompt(example)?.prompt ?? new Int32Array();
        const { tokens, mask } = tokenizer.tokenize(example, 'completion', 10_000);
        expect(tokens.subarray(0, prompt.length)).toEqual(prompt);
        expect(mask.lastIndexOf(0, mask.lastIndexOf(1)) + 1).toBe(prompt.length);
      }),
      { numRuns: 60 },
    );
  });

  it('tokenises the same whatever is trained on, and cuts at max_length', () => {
    const example = chat([user('a question'), says('an answer')]);
    const whole = tokenizer.tokenize(example, 'completion', 10_000);
    const all = tokenizer.tokenize(example, 'all', 10_000);
    expect(all.tokens).toEqual(whole.tokens);
    expect(all.groups).toEqual(whole.groups);
    expect(Array.from(all.mask)).toEqual(Array.from(all.mask, (_, i) => (i === 0 ? 0 : 1)));
    const cut = tokenizer.tokenize(example, 'completion', 5);
    expect(cut.tokens).toEqual(whole.tokens.slice(0, 5));
    expect(cut.mask).toEqual(whole.mask.slice(0, 5));
    expect(cut.truncated).toBe(whole.tokens.length - 5);
  });
});

describe('turns', () => {
  it('reads a turn with tool calls to its end', () => {
    const call = { type: 'function', function: { name: 'weather', arguments: { city: 'Oslo' } } };
    const messages = [
      user('weather?'),
      says('', { tool_calls: [call] }),
      { role: 'tool', content: 'sun' },
      says('Sunny.'),
    ];
    const called = '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call><|im_end|>';
    expect(trained(exampleTokenizer('qwen', templateText('qwen2.5')), messages)).toEqual([called, 'Sunny.<|im_end|>']);
    expect(trained(exampleTokenizer('qwen', templateText('qwen3')), messages)).toEqual([
      called,
      '<think>\n\n</think>\n\nSunny.<|im_end|>',
    ]);
  });

  it('trains an answer that begins the conversation', () => {
    expect(trained(exampleTokenizer('qwen', templateText('chatml')), [says('Hello.'), user('a'), says('b')])).toEqual([
      'Hello.<|im_end|>',
      'b<|im_end|>',
    ]);
  });

  it('adds the header that a template without a generation prompt forgets', () => {
    const tokenizer = exampleTokenizer('qwen', templateText('headerless'));
    const prompt = tokenizer.encodePrompt([{ role: 'user', content: 'a' }]);
    expect(tokenizer.tokenizer.decode(prompt, false)).toBe('<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n');
  });

  it('adds the end of turn that a generation block leaves out', () => {
    const source = templateText('chatml-generation').replace(
      "{{- message.content + '<|im_end|>' }}\n        {%- endgeneration %}",
      "{{- message.content }}\n        {%- endgeneration %}{{- '<|im_end|>' }}",
    );
    expect(source).not.toBe(templateText('chatml-generation'));
    expect(trained(exampleTokenizer('qwen', source), [user('a'), says('b')])).toEqual(['b<|im_end|>']);
  });

  it('finds answers after a generation prompt that opens a thinking block which answers do not have', () => {
    const source = `${templateText('chatml').trimEnd()}{% if add_generation_prompt %}{{ '<think>\\n' }}{% endif %}`;
    expect(trained(exampleTokenizer('qwen', source), [user('a'), says('b'), user('c'), says('d')])).toEqual([
      'b<|im_end|>',
      'd<|im_end|>',
    ]);
  });

  it('names the message of a template that makes the turns ambiguous', () => {
    const source =
      '{% for m in messages %}{{ m.content if loop.length < 3 else m.content | upper }}<|im_end|>{% endfor %}';
    const tokenizer = exampleTokenizer('qwen', source);
    expect(() => tokenizer.tokenize(chat([user('a'), says('b'), user('c'), says('d')]), 'completion', 99)).toThrow(
      /does not show where the assistant's message 1 stands/,
    );
  });

  it('reads a template that ends no turn: answers are trained, and no stop token is claimed', () => {
    const source =
      '{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}';
    expect(trained(exampleTokenizer('qwen', source), [user('a'), says('b'), user('c'), says('d')])).toHaveLength(2);
  });

  it('refuses a template that drops answers, one that is broken, and one that never says what it is asked', () => {
    const open = (chatTemplate: string) => () => exampleTokenizer('qwen', chatTemplate);
    expect(open('always the same')).toThrow(/leaves out what the assistant says/);
    expect(open('{% for m in messages %}')).toThrow(/cannot be parsed/);
    expect(open("{{ raise_exception('no') }}")).toThrow(/refuses the conversation: no/);
  });
});

describe('model folders', () => {
  const options = { promptPrefix: '', instructionResponseSeparator: '\n\n' };
  const chatml = templateText('chatml');

  it('finds the template in chat_template.jinja, in the config as text, and in a list of named ones', () => {
    const config = { bos_token: null, eos_token: '<|im_end|>' };
    const folders = [
      modelFolder('qwen', { 'chat_template.jinja': chatml }),
      modelFolder('qwen', { 'tokenizer_config.json': JSON.stringify({ ...config, chat_template: chatml }) }),
      modelFolder('qwen', {
        'tokenizer_config.json': JSON.stringify({
          ...config,
          chat_template: [
            { name: 'tool_use', template: 'x' },
            { name: 'default', template: chatml },
          ],
        }),
      }),
    ];
    for (const modelDirectory of folders) {
      expect(new ExampleTokenizer({ modelDirectory, ...options }).template?.source).toBe(chatml);
    }
  });

  it('collects stop tokens from tokenizer, template and generation_config.json', () => {
    const modelDirectory = modelFolder('qwen', {
      'tokenizer_config.json': JSON.stringify({ eos_token: '<|endoftext|>' }),
      'generation_config.json': JSON.stringify({ eos_token_id: [7, 9] }),
      'chat_template.jinja': chatml,
    });
    const { tokenizer, stopTokens } = new ExampleTokenizer({ modelDirectory, ...options });
    expect(new Set(stopTokens)).toEqual(new Set([tokenizer.id('<|endoftext|>'), tokenizer.id('<|im_end|>'), 7, 9]));
  });

  it('names special tokens that the vocabulary lacks', () => {
    expect(exampleTokenizer('llama3', chatml).missingTokens()).toEqual(['<|im_start|>', '<|im_end|>']);
    const modelDirectory = modelFolder('qwen', { 'tokenizer_config.json': JSON.stringify({ eos_token: '</s>' }) });
    expect(new ExampleTokenizer({ modelDirectory, ...options }).missingTokens()).toEqual(['</s>']);
  });

  it('names a folder without tokenizer.json, and a broken one', () => {
    const open = (modelDirectory: string) => () => new ExampleTokenizer({ modelDirectory, ...options });
    expect(open('/nowhere')).toThrow(/has no tokenizer.json/);
    expect(open(modelFolder('qwen', { 'tokenizer.json': '{"model":' }))).toThrow(/is not valid JSON/);
    expect(open(modelFolder('qwen', { 'tokenizer.json': '{}' }))).toThrow(/cannot be used/);
  });
});

describe('without a template', () => {
  const plain = (family: TokenizerName, promptPrefix: string, instructionResponseSeparator: string) =>
    new ExampleTokenizer({ modelDirectory: tokenizerFolder(family), promptPrefix, instructionResponseSeparator });
  const messages = [user('Name a colour.'), says('Blue.')];

  it('puts separators between prompt and completion, and the begin and end of text around them', () => {
    const tokenizer = plain('llama3', '### Instruction:\n', '\n\n### Response:\n');
    const { tokens } = tokenizer.tokenize(chat(messages), 'completion', 100);
    expect(tokenizer.tokenizer.decode([...tokens], false)).toBe(
      '<|begin_of_text|>### Instruction:\nName a colour.\n\n### Response:\nBlue.<|eot_id|>',
    );
    expect(trained(tokenizer, messages)).toEqual(['Blue.<|eot_id|>']);
  });

  it.each(['qwen', 'llama3', 'llama2'] as const)(
    'trains the whole first word after a separator with a blank: %s',
    (family) => {
      const tokenizer = plain(family, 'Q: ', '\nA: ');
      expect(trained(tokenizer, messages)[0]).toMatch(/^ ?Blue\.<(\|im_end\||\|eot_id\||\/s)>$/);
      const example = chat(messages);
      const prompt = tokenizer.prompt(example)?.prompt ?? new Int32Array();
      const { tokens, mask } = tokenizer.tokenize(example, 'completion', 100);
      expect(tokens.subarray(0, prompt.length)).toEqual(prompt);
      expect(mask.indexOf(1)).toBe(prompt.length);
    },
  );

  it('trains all of a raw text but its first token', () => {
    const tokenizer = plain('qwen', '', '');
    const place = { file: 'x', index: 0, line: 1 };
    const { mask, tokens } = tokenizer.tokenize({ kind: 'text', place, text: 'once upon' }, 'completion', 100);
    expect(tokenizer.tokenizer.decode([...tokens], false)).toBe('once upon<|im_end|>');
    expect([...mask]).toEqual([...mask].map((_, i) => (i === 0 ? 0 : 1)));
  });
});

describe('offsets', () => {
  it.each(['qwen', 'llama3', 'llama2'] as const)('cover the text without a gap: %s', (family) => {
    const { tokenizer } = exampleTokenizer(family);
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), (raw) => {
        const text = tokenizer.normalize(raw);
        const { ids, ends } = tokenizer.encode(text);
        expect(ends).toHaveLength(ids.length);
        expect(ends.at(-1) ?? 0).toBe(Buffer.byteLength(text));
        expect(ends).toEqual([...ends].sort((a, b) => a - b));
      }),
      { numRuns: 200 },
    );
  });
});

describe.each(['qwen', 'llama3', 'llama2'] as const)('the cache of words: %s', (family) => {
  it('changes no token', () => {
    const { tokenizer } = exampleTokenizer(family);
    const piece = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 8 }),
      fc.constantFrom(
        '<|im_start|>',
        '<|eot_id|>',
        '<think>',
        '</s>',
        ' ',
        '  ',
        '\n',
        ' \n\n ',
        '\r\n',
        '\t',
        "isn't",
        '12345',
        '...',
        ' a',
      ),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
        const text = tokenizer.normalize(pieces.join(''));
        expect(tokenizer.encode(text)).toEqual(tokenizer.encodeWhole(text));
      }),
      { numRuns: 500 },
    );
  });
});

describe('texts of SentencePiece cut into words', () => {
  const stored = JSON.parse(readFileSync(join(tokenizerFolder('llama2'), 'tokenizer.json'), 'utf8'));
  const metaspace = (prepend_scheme: string) => ({
    ...stored,
    normalizer: null,
    pre_tokenizer: { type: 'Metaspace', replacement: '\u2581', prepend_scheme, split: false },
  });
  const crossing = {
    ...stored,
    model: {
      ...stored.model,
      vocab: { ...stored.model.vocab, 'a\u2581': 90_000, 'a\u2581a': 90_001 },
      merges: [['a', '\u2581'], ['a\u2581', 'a'], ...stored.model.merges],
    },
  };
  it.each([
    ['as stored', stored],
    ['with Metaspace and a space before the first part', metaspace('first')],
    ['with Metaspace and a space before every part', metaspace('always')],
    ['with Metaspace alone', metaspace('never')],
    ['with merges over spaces', crossing],
  ])('have the tokens of the whole text: %s', (_, json) => {
    const tokenizer = new ModelTokenizer(modelFolder('llama2', { 'tokenizer.json': JSON.stringify(json) }));
    const library = new Tokenizer(json, {});
    const piece = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 8 }),
      fc.constantFrom(
        '</s>',
        ' ',
        '  ',
        '    ',
        '\n',
        ' \n',
        'a a',
        'the',
        ' the',
        '\u00a0',
        '\u2581',
        '.',
        '12',
        '数',
      ),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const text = tokenizer.normalize(pieces.join(''));
        fc.pre(text !== '');
        expect(tokenizer.encode(text).ids).toEqual(library.encode(text, { add_special_tokens: false }).ids);
      }),
      { numRuns: 500 },
    );
  });
});

describe('texts that a tokenizer does not keep', () => {
  it('the mark of SentencePiece counts as a space', () => {
    const { tokenizer } = exampleTokenizer('llama2');
    const text = tokenizer.normalize('\u2581a\u2581');
    expect(tokenizer.encode(text).ids).toEqual(tokenizer.encode(' a ').ids);
    expect(tokenizer.encode(text).ends.at(-1)).toBe(3);
  });

  it('are refused, for the mask would be a guess', () => {
    const json = (normalizer: unknown) =>
      JSON.stringify({
        added_tokens: [],
        normalizer,
        pre_tokenizer: null,
        post_processor: null,
        decoder: null,
        model: { type: 'BPE', vocab: { a: 0, b: 1 }, merges: [] },
      });
    const encode = (normalizer: unknown) => () =>
      new ExampleTokenizer({
        modelDirectory: modelFolder('qwen', { 'tokenizer.json': json(normalizer), 'tokenizer_config.json': '{}' }),
        promptPrefix: '',
        instructionResponseSeparator: '',
      }).tokenizer.encode('AB');
    expect(encode({ type: 'Lowercase' })).toThrow(
      /changes the text: it puts token 0 "a" where the text goes on with "AB"/,
    );
    expect(encode(null)).toThrow(/changes the text/);
  });
});

describe('Python in templates', () => {
  it('strips sets of characters', () => {
    expect(stripCharacters('\n \nab\n', 'lstrip', '\n')).toBe(' \nab\n');
    expect(stripCharacters('xyaxyx', 'rstrip', 'xy')).toBe('xya');
    expect(stripCharacters('..🙂..', 'strip', '.')).toBe('🙂');
    expect(stripCharacters(' a ', 'strip', null)).toBe('a');
    expect(() => stripCharacters(1, 'strip', 'a')).toThrow(/strings/);
  });

  it('writes dates in English, whatever the machine speaks', () => {
    const date = new Date(2024, 2, 5, 15, 4, 9);
    expect(strftime(date, '%d %b %Y, %A %B %H:%M:%S %I %p %y %% %q')).toBe(
      '05 Mar 2024, Tuesday March 15:04:09 03 PM 24 % %q',
    );
    const rendered = new ChatTemplate("{{ strftime_now('%Y') }}", {}).render([], { prompt: false });
    expect(rendered).toBe(String(new Date().getFullYear()));
  });

  it('knows one kind of line end, as Jinja does', () => {
    const text = "{% for message in messages %}\n{{ message['content'] }}\n\n{% endfor %}.\n";
    const messages: Message[] = [{ role: 'user', content: 'a\r\nb' }];
    const rendered = new ChatTemplate(text, {}).render(messages, { prompt: false });
    expect(rendered).toContain('a\r\nb\n');
    for (const end of ['\r\n', '\r']) {
      expect(new ChatTemplate(text.replaceAll('\n', end), {}).render(messages, { prompt: false })).toBe(rendered);
    }
  });

  it('leaves other calls alone', () => {
    const tree = { type: 'CallExpression', callee: { type: 'Identifier', value: 'strip' }, args: [] };
    const before = jsonl([tree]);
    replaceCalls(tree);
    expect(jsonl([tree])).toBe(before);
  });
});

/** Conversations rendered by shape, compared with the template's own rendering of each. */

import { readdirSync } from 'node:fs';
import { Template } from '@huggingface/jinja';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Message } from '../../../src/core/data.js';
import { ShapeRenderer } from '../../../src/data/text/shapes.js';
import { templateText } from './support.js';

const marks = /(\u{f5f00}|\u{f5f01})/u;
const variables = { bos_token: '<s>', eos_token: '</s>' };

/** Both ways; `byShape` is undefined where the shape was given up. */
function bothWays(source: string, messages: readonly Message[], prompt: boolean) {
  const template = new Template(source);
  const shapes = new ShapeRenderer(template.parsed, source, variables, marks);
  let whole: string | undefined;
  try {
    const conversation = { messages: messages.map((message) => ({ ...message })), add_generation_prompt: prompt };
    whole = template.render({ ...variables, ...conversation, tools: null, documents: null });
  } catch {
    whole = undefined;
  }
  return { whole, byShape: shapes.render(messages, prompt)?.join('') };
}

const chat = (...contents: string[]): Message[] =>
  contents.map((content, i) => ({ role: i % 2 === 0 ? 'user' : 'assistant', content }));

const loop = (body: string) => `{% for message in messages %}${body}{% endfor %}`;

describe('templates that only write texts down are rendered by shape', () => {
  it.each([
    ['joined', loop("{{ '<|' + message['role'] + '|>' + message.content + '\\n' }}")],
    [
      'through a variable',
      loop('{% set text = message.content ~ eos_token %}{% if loop.first %}{{ bos_token }}{% endif %}{{ text }}'),
    ],
    [
      'through a namespace',
      `{% set ns = namespace(system='') %}${loop('{% set ns.system = message.content %}{{ ns.system }}')}`,
    ],
    [
      'by its place',
      "{% if messages[0]['role'] == 'user' %}{{ messages[0]['content'] }}{% endif %}{{ messages[-1].content }}",
    ],
    [
      'of a part of the list',
      '{% for message in messages[1:] | reverse %}{{ message.content }}{% endfor %}{{ messages | length }}',
    ],
    ['trimmed', loop("{{ message.content | trim + '</s>' }}")],
    ['asked whether there is one', loop('{% if message.content %}{{ message.content }}{% else %}nothing{% endif %}')],
    [
      'asked for its type',
      loop('{% if message.content is string and message.content is defined %}{{ message.content }}{% endif %}'),
    ],
    ['in a block', loop('{% set text %}[{{ message.content }}]{% endset %}{{ text }}')],
    [
      'of a mapping made there',
      `${loop("{% set entry = {'a': message.content} %}{{ entry.a }}{{ entry['b'] is defined }}")}`,
    ],
  ])('%s', (_name, source) => {
    const { whole, byShape } = bothWays(source, chat('one', 'two words', 'three'), false);
    expect(whole).toContain('three');
    expect(byShape).toBe(whole);
  });
});

describe('templates that look at a text are not', () => {
  it.each([
    ['compared', loop("{% if message.content == 'one' %}1{% else %}{{ message.content }}{% endif %}")],
    ['searched', loop("{% if 'n' in message.content %}1{% endif %}")],
    ['searched for in a list', loop("{% if message.content in ['one'] %}1{% endif %}")],
    ['compared in a mapping', '{% if messages[0] == messages[1] %}1{% endif %}'],
    ['changed', loop('{{ message.content | upper }}')],
    ['measured', loop('{{ message.content | length }}')],
    ['cut', loop('{{ message.content[1:] }}')],
    ['indexed', loop('{{ message.content[0] }}')],
    ['asked a method', loop("{% if message.content.startswith('o') %}1{% endif %}")],
    ['asked a method through a variable', loop('{% set text = message.content %}{{ text.strip() }}')],
    ['asked a method in a block', loop('{% set text %}{{ message.content }}{% endset %}{{ text.upper() }}')],
    ['written as JSON', loop('{{ message | tojson }}')],
    ['written out in a list', '{{ [messages[0].content] }}'],
    ['written out in a mapping', '{{ messages[0] }}'],
    ['joined in a list with a text', "{{ 'a' + [messages[0].content] }}"],
    ['mapped and joined', "{{ messages | map(attribute='content') | join(' ') }}"],
    ['chosen by', "{{ messages | selectattr('content', 'equalto', 'one') | list | length }}"],
    ['sorted by', '{% for key, value in messages[0] | dictsort %}{{ value }}{% endfor %}'],
    ['a key', "{% set names = {'one': 'found'} %}{{ names[messages[0].content] }}"],
    ['asked for its case', loop('{% if message.content is lower %}1{% endif %}')],
    ['of a conversation that is refused', "{{ raise_exception('no ' + messages[0].content) }}"],
    ['of unknown parts', '{% macro say(text) %}{{ text }}{% endmacro %}{{ say(messages[0].content) }}'],
    ['with a stand-in of its own', '\u{f6000}{{ messages[0].content }}'],
  ])('%s', (_name, source) => {
    expect(bothWays(source, chat('one', 'two', 'three'), false).byShape).toBeUndefined();
  });

  it('a text with white space at its ends, where the template trims it', () => {
    const source = loop('[{{ message.content | trim }}]');
    expect(bothWays(source, chat(' one'), false)).toEqual({ whole: '[one]', byShape: undefined });
    expect(bothWays(source, chat(''), false)).toEqual({ whole: '[]', byShape: undefined });
    expect(bothWays(source, chat('one'), false)).toEqual({ whole: '[one]', byShape: '[one]' });
  });

  it('a message with more than a role and a text', () => {
    const source = loop('{{ message.content }}');
    expect(bothWays(source, [{ role: 'user', content: 'a', reasoning: 'b' }], false).byShape).toBeUndefined();
    expect(bothWays(source, [{ role: 'user', content: 'a', extra: { name: 'b' } }], false).byShape).toBeUndefined();
  });
});

describe('models’ templates', () => {
  const names = readdirSync(new URL('../../fixtures/data/templates/', import.meta.url)).map((name) =>
    name.replace(/\.jinja$/, ''),
  );
  const content = fc.oneof(
    fc.string(),
    fc.string({ unit: 'grapheme' }),
    fc.constantFrom(
      '',
      ' a ',
      '\n',
      '<think>a</think>b',
      '<tool_response>a</tool_response>',
      '{{ messages }}',
      '\u{f6001}',
      '\u{f5f00}',
    ),
  );
  const messages = fc.array(
    fc.record({ role: fc.constantFrom<Message['role'][]>('system', 'user', 'assistant', 'tool'), content }),
    { minLength: 1, maxLength: 6 },
  );

  it.each(names)('%s: never another rendering than its own', (name) => {
    const source = withoutMarks(name);
    fc.assert(
      fc.property(messages, fc.boolean(), (conversation, prompt) => {
        const { whole, byShape } = bothWays(source, conversation, prompt);
        if (byShape !== undefined) expect(byShape).toBe(whole);
      }),
      { numRuns: 150 },
    );
  });

  it('most of them render plain conversations by shape', () => {
    const plain = chat('What is it?', 'An answer.', 'And this?', 'Another one.');
    const slow = names.filter((name) => bothWays(withoutMarks(name), plain, false).byShape === undefined);
    expect(slow).toEqual(['llama2', 'mistral-v0.3', 'qwen3']);
  });
});

/** `{% generation %}` is no tag of the interpreter's. */
function withoutMarks(name: string): string {
  return templateText(name).replace(/\{%(-?)\s*(end)?generation\s*(-?)%\}/g, '');
}

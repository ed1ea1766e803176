/** Record formats: from a record as it stands in a file to a normalised example, or to what is wrong with it and where. */

import type { Example, Message, RecordFormat, RecordPlace } from '../../core/data.js';
import type { FieldMapping } from '../types.js';

/** A record that does not fit its format. */
export class RecordProblem {
  constructor(
    readonly field: string | undefined,
    readonly message: string,
  ) {}
}

type Fields = Readonly<Record<string, unknown>>;

const shareGptRoles: Readonly<Record<string, Message['role']>> = {
  human: 'user',
  user: 'user',
  gpt: 'assistant',
  assistant: 'assistant',
  chatgpt: 'assistant',
  bot: 'assistant',
  model: 'assistant',
  system: 'system',
  tool: 'tool',
  function: 'tool',
  observation: 'tool',
};
const roles: readonly string[] = ['system', 'user', 'assistant', 'tool'];

const promptNames = ['prompt', 'question', 'instruction', 'query', 'input'];
const completionNames = ['completion', 'answer', 'response', 'output'];

function own(record: Fields, key: string): unknown {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function firstName(record: Fields, names: readonly string[]): string | undefined {
  return names.find((name) => own(record, name) !== undefined);
}

function listIn(value: Fields, mapped: string | undefined): readonly unknown[] | undefined {
  for (const key of [mapped, 'messages', 'conversations', 'conversation']) {
    const found = key === undefined ? undefined : own(value, key);
    if (Array.isArray(found)) return found;
  }
  return undefined;
}

/** The format that a record looks like, or undefined. A mapping of fields means `custom`, unless it maps the list of messages. */
export function detectFormat(value: unknown, fields: FieldMapping | undefined): RecordFormat | undefined {
  if (!isFields(value)) return undefined;
  if (fields?.prompt !== undefined || fields?.completion !== undefined) return 'custom';
  const list = listIn(value, fields?.messages);
  if (list !== undefined) return isFields(list[0]) && own(list[0], 'from') !== undefined ? 'sharegpt' : 'messages';
  if (own(value, 'instruction') !== undefined && own(value, 'output') !== undefined) return 'alpaca';
  const prompt = firstName(value, promptNames);
  if (prompt !== undefined && firstName(value, completionNames) !== undefined) return 'custom';
  return typeof own(value, 'text') === 'string' ? 'text' : undefined;
}

/**
 * The format to read a record as, in a file whose first records had the format `home`. A record that only lacks a field of it, or has
 * one misspelt, is read as `home` all the same, so that the field is named instead of another format guessed.
 */
export function formatInFile(
  value: unknown,
  fields: FieldMapping | undefined,
  home: RecordFormat | undefined,
): RecordFormat | 'auto' {
  const found = detectFormat(value, fields);
  if (home === undefined || found === home) return found ?? 'auto';
  if (found === undefined) return home;
  const meant =
    home === 'alpaca' &&
    found === 'custom' &&
    isFields(value) &&
    firstName(value, ['instruction', 'input', 'output']) !== undefined;
  return meant ? home : found;
}

/** @returns the example, or what is wrong */
export function toExample(
  value: unknown,
  format: RecordFormat | 'auto',
  fields: FieldMapping | undefined,
  place: RecordPlace,
): { readonly example: Example; readonly format: RecordFormat } | RecordProblem {
  if (!isFields(value)) return new RecordProblem(undefined, `a record must be an object, not ${kindOf(value)}`);
  const actual = format === 'auto' ? detectFormat(value, fields) : format;
  if (actual === undefined) {
    return new RecordProblem(
      undefined,
      `no known format has these fields (${Object.keys(value).slice(0, 8).join(', ') || 'none'}); expected instruction and ` +
        'output, conversations, messages, a prompt and a completion, or text',
    );
  }
  if (actual === 'text') {
    const text = textOf(value, 'text');
    return text instanceof RecordProblem ? text : { example: { kind: 'text', place, text }, format: actual };
  }
  const messages = messagesOf(value, actual, fields);
  if (messages instanceof RecordProblem) return messages;
  const tools = own(value, 'tools');
  return {
    example: { kind: 'chat', place, messages, ...(tools === undefined || tools === null ? {} : { tools }) },
    format: actual,
  };
}

function messagesOf(
  record: Fields,
  format: Exclude<RecordFormat, 'text'>,
  fields: FieldMapping | undefined,
): Message[] | RecordProblem {
  switch (format) {
    case 'alpaca':
      return alpaca(record);
    case 'custom':
      return custom(record, fields);
    case 'sharegpt':
      return list(
        record,
        fields?.messages,
        ['conversations', 'conversation', 'messages'],
        fields?.system,
        shareGptMessage,
      );
    case 'messages':
      return list(
        record,
        fields?.messages,
        ['messages', 'conversations', 'conversation'],
        fields?.system,
        openAiMessage,
      );
  }
}

function alpaca(record: Fields): Message[] | RecordProblem {
  const instruction = textOf(record, 'instruction');
  if (instruction instanceof RecordProblem) return instruction;
  const output = textOf(record, 'output');
  if (output instanceof RecordProblem) return output;
  const input = optionalText(record, 'input');
  if (input instanceof RecordProblem) return input;
  const system = optionalText(record, 'system');
  if (system instanceof RecordProblem) return system;
  return turns(system, input === '' ? instruction : `${instruction}\n\n${input}`, output);
}

function custom(record: Fields, fields: FieldMapping | undefined): Message[] | RecordProblem {
  const promptName = fields?.prompt ?? firstName(record, promptNames);
  const completionName = fields?.completion ?? firstName(record, completionNames);
  if (promptName === undefined) return new RecordProblem('prompt', 'is missing; map it with fields.prompt');
  if (completionName === undefined) return new RecordProblem('completion', 'is missing; map it with fields.completion');
  const prompt = textOf(record, promptName);
  if (prompt instanceof RecordProblem) return prompt;
  const completion = textOf(record, completionName);
  if (completion instanceof RecordProblem) return completion;
  const system = optionalText(record, fields?.system ?? 'system');
  if (system instanceof RecordProblem) return system;
  return turns(system, prompt, completion);
}

function turns(system: string, prompt: string, completion: string): Message[] {
  const start: Message[] = system === '' ? [] : [{ role: 'system', content: system }];
  return [...start, { role: 'user', content: prompt }, { role: 'assistant', content: completion }];
}

function list(
  record: Fields,
  mapped: string | undefined,
  names: readonly string[],
  systemName: string | undefined,
  read: (item: Fields, field: string) => Message | RecordProblem,
): Message[] | RecordProblem {
  const name = mapped ?? firstName(record, names) ?? names[0] ?? 'messages';
  const items = own(record, name);
  if (!Array.isArray(items)) return new RecordProblem(name, `must be a list of messages, not ${kindOf(items)}`);
  if (items.length === 0) return new RecordProblem(name, 'is empty: at least one message is expected');
  const messages: Message[] = [];
  for (const [i, item] of items.entries()) {
    const field = `${name}[${i}]`;
    if (!isFields(item)) return new RecordProblem(field, `must be an object, not ${kindOf(item)}`);
    const message = read(item, field);
    if (message instanceof RecordProblem) return message;
    messages.push(message);
  }
  // ShareGPT dumps often begin with an answer whose question was cut away; it has no prompt, but it is still a conversation.
  if (messages[0]?.role === 'system') return messages;
  const system = optionalText(record, systemName ?? 'system');
  if (system instanceof RecordProblem) return system;
  return system === '' ? messages : [{ role: 'system', content: system }, ...messages];
}

function shareGptMessage(item: Fields, field: string): Message | RecordProblem {
  const from = own(item, 'from');
  const role = typeof from === 'string' && Object.hasOwn(shareGptRoles, from) ? shareGptRoles[from] : undefined;
  if (role === undefined) {
    return new RecordProblem(`${field}.from`, `must be human, gpt, system or tool, not ${shown(from)}`);
  }
  const content = textOf(item, 'value', field);
  return content instanceof RecordProblem ? content : { role, content };
}

function openAiMessage(item: Fields, field: string): Message | RecordProblem {
  const role = own(item, 'role');
  const known = role === 'developer' ? 'system' : role;
  if (typeof known !== 'string' || !isRole(known)) {
    return new RecordProblem(`${field}.role`, `must be system, user, assistant or tool, not ${shown(role)}`);
  }
  const extra = Object.fromEntries(
    Object.entries(item).filter(
      ([key]) => !['role', 'content', 'reasoning_content', 'thinking', '__proto__'].includes(key),
    ),
  );
  const content = contentOf(item, field, Object.hasOwn(extra, 'tool_calls'));
  if (content instanceof RecordProblem) return content;
  const reasoning = own(item, 'reasoning_content') ?? own(item, 'thinking');
  return {
    role: known,
    content,
    ...(typeof reasoning === 'string' && reasoning !== '' ? { reasoning } : {}),
    ...(Object.keys(extra).length > 0 ? { extra } : {}),
  };
}

function isRole(role: string): role is Message['role'] {
  return roles.includes(role);
}

/** A text, or a list of parts of type `text`. */
function contentOf(item: Fields, field: string, mayBeEmpty: boolean): string | RecordProblem {
  const content = own(item, 'content');
  if ((content === null || content === undefined) && mayBeEmpty) return '';
  if (!Array.isArray(content)) return textOf(item, 'content', field);
  const texts: string[] = [];
  for (const [i, part] of content.entries()) {
    if (!isFields(part) || own(part, 'type') !== 'text' || typeof own(part, 'text') !== 'string') {
      return new RecordProblem(
        `${field}.content[${i}]`,
        'must be a part of type text; images and audio cannot be trained on',
      );
    }
    texts.push(String(own(part, 'text')));
  }
  return texts.join('');
}

/** Numbers and booleans are what labels often are; they are taken as their text. */
function textOf(record: Fields, key: string, parent?: string): string | RecordProblem {
  const field = parent === undefined ? key : `${parent}.${key}`;
  const value = own(record, key);
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return new RecordProblem(
    field,
    value === undefined ? 'is missing: a text is expected' : `must be a text, not ${kindOf(value)}`,
  );
}

function optionalText(record: Fields, key: string): string | RecordProblem {
  const value = own(record, key);
  return value === undefined || value === null ? '' : textOf(record, key);
}

function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  return Array.isArray(value) ? 'a list' : `a ${typeof value}`;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

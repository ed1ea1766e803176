import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { formatInFile, RecordProblem, toExample } from '../../../src/data/read/formats.js';
import { findJsonError } from '../../../src/data/read/json-error.js';
import { type RawRecord, readRecords } from '../../../src/data/read/records.js';
import type { FieldMapping } from '../../../src/data/types.js';

let folder: string;
let count = 0;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sft-lab-records-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function read(content: string | Uint8Array): Promise<RawRecord[]> {
  const file = join(folder, `${count++}.jsonl`);
  writeFileSync(file, content);
  const records: RawRecord[] = [];
  for await (const record of readRecords(file)) records.push(record);
  return records;
}

const brief = (records: readonly RawRecord[]): unknown[][] =>
  records.map((record) => ['problem' in record ? record.problem : record.value, record.place.index, record.place.line]);

describe('files', () => {
  test.each([
    ['lines', '{"a":1}\n{"a":2}\n'],
    ['no final line end', '{"a":1}\n{"a":2}'],
    ['CRLF', '{"a":1}\r\n{"a":2}\r\n'],
    ['a byte order mark', '\ufeff{"a":1}\n{"a":2}\n'],
  ])('%s', async (_name, content) => {
    expect(brief(await read(content))).toEqual([
      [{ a: 1 }, 0, 1],
      [{ a: 2 }, 1, 2],
    ]);
  });

  test('blank lines count as lines, not as records', async () => {
    expect(brief(await read('\n{"a":1}\n\n  \n{"a":2}\n'))).toEqual([
      [{ a: 1 }, 0, 2],
      [{ a: 2 }, 1, 5],
    ]);
  });

  test('an array, with the lines its elements begin on, brackets and quotes inside texts', async () => {
    const content = '[\n  {"a": "[}\\"]"},\n\n  {"a":\n    [1, {"b": 2}]},\n  3 ]\n';
    expect(brief(await read(content))).toEqual([
      [{ a: '[}"]' }, 0, 2],
      [{ a: [1, { b: 2 }] }, 1, 4],
      [3, 2, 6],
    ]);
  });

  test('a broken line is named and the next one read', async () => {
    const records = await read('{"a":1}\n{"a":\n{"a":3}\n');
    expect(records.map((record) => 'problem' in record)).toEqual([false, true, false]);
    expect(records[1]).toMatchObject({ place: { line: 2 }, problem: expect.stringMatching(/not valid JSON/) });
  });

  test('invalid UTF-8 is named by its line', async () => {
    const bytes = Buffer.concat([Buffer.from('{"a":1}\n{"a":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}\n')]);
    expect(brief(await read(bytes))[1]).toEqual(['the text is not valid UTF-8', 1, 2]);
  });

  test('an array that does not end says so, and its last record is read', async () => {
    expect(brief(await read('[{"a":1},\n{"a":2}')).slice(1)).toEqual([
      [{ a: 2 }, 1, 2],
      [expect.stringMatching(/closing \]/), 2, 2],
    ]);
  });

  test.each([
    ['{"a": 1,\n', 'line 1, column 9: expected a key in double quotes'],
    ['{"a": 1}\n  {"é🙂": tru}\n', 'line 2, column 10: expected a value'],
    ['{"a" 1}', 'line 1, column 6: expected a colon'],
    ['{"a": "b\\q"}', 'line 1, column 9: expected a valid escape'],
    ['{"a": "b}', 'line 1, column 10: expected a closing double quote'],
    ['{"a": 1} {}', 'line 1, column 10: expected nothing more'],
    ['[{"a": 1}, {"é": 2 "b": 3}]', 'line 1, column 20: expected a comma'],
    ['[\n  {"a": 1},\n  {\n    "a": 2,\n  }\n]', 'line 5, column 3: expected a key'],
    ['[{"a": 1}\n {"a": 2}]', 'line 2, column 2: expected nothing more'],
    ['[{"a": 1},\n]', 'line 2, column 1: expected a value'],
    ['[{"a": 1},, {"a": 2}]', 'line 1, column 11: expected a value'],
    ['[{"a": 1]', 'line 1, column 9: expected a comma or the closing bracket'],
    ['[{"a": 1}] x', 'line 1, column 12: expected nothing more after the end'],
  ])('%j: %s', async (content, place) => {
    const problems = (await read(content)).flatMap((record) => ('problem' in record ? [record.problem] : []));
    expect(problems[0]).toContain(place);
  });

  test('what JSON.parse refuses has a place, what it accepts has none', () => {
    const json = fc.jsonValue().map((value) => JSON.stringify(value));
    const edit = fc.tuple(fc.nat(), fc.constantFrom(...'{}[],:"\\\n0e-x'));
    fc.assert(
      fc.property(json, fc.array(edit, { maxLength: 3 }), (text, edits) => {
        let changed = text;
        for (const [where, char] of edits) {
          const at = where % (changed.length + 1);
          changed = changed.slice(0, at) + char + changed.slice(at + (where % 2));
        }
        let valid = true;
        try {
          JSON.parse(changed);
        } catch {
          valid = false;
        }
        expect(findJsonError(changed) === undefined).toBe(valid);
      }),
      { numRuns: 2000 },
    );
  });

  test('text after an array says so', async () => {
    expect((await read('[{"a":1}] {"a":2}')).at(-1)).toHaveProperty('problem', expect.stringMatching(/after the end/));
  });

  test('deep nesting is refused, not followed', async () => {
    expect(brief(await read(`${'['.repeat(5000)}${']'.repeat(5000)}`))[0]).toEqual([
      expect.stringMatching(/nested/),
      0,
      1,
    ]);
  });

  test.each(['', '\n\n  \n'])('nothing in the file is an error', async (content) => {
    await expect(read(content)).rejects.toThrow(/empty|no records/);
  });

  test.each<[string, (text: string) => Buffer]>([
    ['with a mark', (text) => Buffer.from(`\ufeff${text}`, 'utf16le')],
    ['without', (text) => Buffer.from(text, 'utf16le')],
    ['of the other byte order', (text) => Buffer.from(`\ufeff${text}`, 'utf16le').swap16()],
    ['of the other byte order without a mark', (text) => Buffer.from(text, 'utf16le').swap16()],
  ])('UTF-16 %s is read as it is meant', async (_name, encoded) => {
    const text = '{"a":"naïve 日本 🎉"}\r\n\n{"a":2}';
    expect(brief(await read(encoded(text)))).toEqual([
      [{ a: 'naïve 日本 🎉' }, 0, 1],
      [{ a: 2 }, 1, 3],
    ]);
  });

  test('half a character of UTF-16, or half a unit at the end, spoils its own record alone', async () => {
    const broken = Buffer.concat([Buffer.from('\ufeff{"a":"\ud83c"}\n{"a":2}\n', 'utf16le'), Buffer.of(0x7b)]);
    expect(brief(await read(broken))).toEqual([
      [{ a: '\ufffd' }, 0, 1],
      [{ a: 2 }, 1, 2],
      [expect.stringMatching(/not valid JSON/), 2, 3],
    ]);
  });

  test('lines are kept as they stand in the file where they are asked for', async () => {
    const lines = ['{ "a" : 1.0, "a": 12345678901234567890 }', '{"b":"\\u00e9"}\r', ' {"c":[ ]}'];
    const file = join(folder, 'sources.jsonl');
    writeFileSync(file, `\ufeff${lines.join('\n')}\n`);
    const sources: (string | undefined)[] = [];
    for await (const record of readRecords(file, { keepSource: true })) {
      sources.push('problem' in record ? undefined : record.source?.toString());
    }
    expect(sources).toEqual(lines);
    writeFileSync(file, '[{"a":1},\n{"a":2}]');
    for await (const record of readRecords(file, { keepSource: true })) expect(record).not.toHaveProperty('source');
  });

  test('a missing file and a folder are named', async () => {
    await expect(readRecords(join(folder, 'nowhere')).next()).rejects.toThrow(/cannot be opened/);
    await expect(readRecords(folder).next()).rejects.toThrow(/folder without Arrow files/);
  });

  test('whatever is written as lines or as an array is read back', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { minLength: 1 }), async (values) => {
        const expected = values.map((value) => JSON.parse(JSON.stringify(value)) as unknown);
        for (const content of [
          values.map((value) => JSON.stringify(value)).join('\n'),
          JSON.stringify(values, null, 2),
        ]) {
          const records = await read(content);
          expect(records.map((record) => ('value' in record ? record.value : record.problem))).toEqual(expected);
        }
      }),
      { numRuns: 100 },
    );
  });

  test('damaged files never crash the reader', async () => {
    const whole = Buffer.from(
      '[{"instruction":"a","output":"b"},{"messages":[{"role":"user","content":"\u00e9"}]}]\n'.repeat(3),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 20 }),
        async (edits) => {
          const bytes = Buffer.from(whole);
          for (const [at, byte] of edits) bytes[at] = byte;
          try {
            for (const record of await read(bytes)) {
              if ('value' in record) toExample(record.value, 'auto', undefined, record.place);
            }
          } catch (error) {
            expect((error as Error).name).toBe('LabError');
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

const place = { file: 'x.jsonl', index: 0, line: 1 };
const convert = (value: unknown, format: Parameters<typeof toExample>[1] = 'auto', fields?: FieldMapping) =>
  toExample(value, format, fields, place);
const user = (content: string) => ({ role: 'user', content });
const assistant = (content: string) => ({ role: 'assistant', content });

describe('formats', () => {
  test.each([
    ['alpaca', { instruction: 'Add.', input: '1 2', output: '3' }, [user('Add.\n\n1 2'), assistant('3')]],
    [
      'alpaca',
      { instruction: 'Hi', input: '', output: 'Yo', system: 'Be kind' },
      [{ role: 'system', content: 'Be kind' }, user('Hi'), assistant('Yo')],
    ],
    [
      'sharegpt',
      {
        conversations: [
          { from: 'human', value: 'a' },
          { from: 'gpt', value: 'b' },
        ],
      },
      [user('a'), assistant('b')],
    ],
    [
      'sharegpt',
      {
        conversations: [
          { from: 'system', value: 's' },
          { from: 'user', value: 'a' },
          { from: 'assistant', value: 'b' },
          { from: 'tool', value: 't' },
        ],
      },
      [{ role: 'system', content: 's' }, user('a'), assistant('b'), { role: 'tool', content: 't' }],
    ],
    ['messages', { messages: [user('a'), assistant('b')] }, [user('a'), assistant('b')]],
    [
      'messages',
      {
        messages: [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'a' },
              { type: 'text', text: 'b' },
            ],
          },
          assistant('c'),
        ],
      },
      [user('ab'), assistant('c')],
    ],
    [
      'messages',
      { messages: [user('a'), { role: 'assistant', content: 'b', reasoning_content: 'why' }] },
      [user('a'), { ...assistant('b'), reasoning: 'why' }],
    ],
    ['custom', { question: 'a', answer: 'b' }, [user('a'), assistant('b')]],
    ['custom', { prompt: 'a', completion: 7 }, [user('a'), assistant('7')]],
    [
      'custom',
      { prompt: 'a', response: 'b', system: 's' },
      [{ role: 'system', content: 's' }, user('a'), assistant('b')],
    ],
  ])('%s: %j', (format, record, messages) => {
    const result = convert(record);
    expect(result).toMatchObject({ format, example: { kind: 'chat' } });
    expect(result instanceof RecordProblem ? undefined : result.example).toHaveProperty('messages', messages);
  });

  test('raw text', () => {
    expect(convert({ text: 'abc' })).toMatchObject({ format: 'text', example: { kind: 'text', text: 'abc' } });
  });

  test('mapped fields', () => {
    const result = convert({ q: 'a', a: 'b', ctx: 's' }, 'auto', { prompt: 'q', completion: 'a', system: 'ctx' });
    expect(result).toMatchObject({
      format: 'custom',
      example: { messages: [{ role: 'system' }, user('a'), assistant('b')] },
    });
  });

  test('the format can be overridden', () => {
    expect(convert({ instruction: 'a', output: 'b', text: 'c' }, 'text')).toMatchObject({ example: { text: 'c' } });
  });

  test.each([
    [{ instruction: 'a', output: null }, 'alpaca', 'output', /must be a text/],
    [{ instruction: 'a' }, 'alpaca', 'output', /is missing/],
    [{ messages: [{ role: 'robot', content: 'a' }] }, 'auto', 'messages[0].role', /must be system, user/],
    [{ messages: [user('a'), { role: 'assistant' }] }, 'auto', 'messages[1].content', /is missing/],
    [
      { messages: [{ role: 'user', content: [{ type: 'image_url' }] }] },
      'auto',
      'messages[0].content[0]',
      /part of type text/,
    ],
    [{ messages: [] }, 'messages', 'messages', /is empty/],
    [{ conversations: [{ from: 'alien', value: 'a' }] }, 'sharegpt', 'conversations[0].from', /must be human/],
    [{ foo: 1 }, 'auto', undefined, /no known format/],
    [[1], 'auto', undefined, /must be an object/],
    ['text', 'auto', undefined, /must be an object/],
    [{ prompt: 'a', completion: { b: 1 } }, 'auto', 'completion', /must be a text/],
  ] as const)('%j as %s is named at %s', (record, format, field, message) => {
    const result = convert(record, format);
    expect(result).toBeInstanceOf(RecordProblem);
    expect(result).toMatchObject({ field, message: expect.stringMatching(message) });
  });

  test('a system text beside a list of messages comes first', () => {
    const record = { system: 's', conversations: [{ from: 'human', value: 'a' }] };
    expect(convert(record)).toMatchObject({ example: { messages: [{ role: 'system', content: 's' }, user('a')] } });
  });

  test.each([
    ['a missing field', { instruction: 'a' }, 'alpaca', 'alpaca'],
    ['a misspelt field', { instruct: 'a', input: 'b', output: 'c' }, 'alpaca', 'alpaca'],
    ['a record of another format', { prompt: 'a', completion: 'b' }, 'alpaca', 'custom'],
    ['a conversation among pairs', { messages: [user('a')] }, 'custom', 'messages'],
    ['nothing known yet', { a: 1 }, undefined, 'auto'],
  ] as const)('%s is read as the file is', (_name, record, home, format) => {
    expect(formatInFile(record, undefined, home)).toBe(format);
  });

  test('prototype keys are keys like any other', () => {
    const record: unknown = JSON.parse('{"__proto__": {"instruction": "a", "output": "b"}, "constructor": 1}');
    expect(convert(record)).toBeInstanceOf(RecordProblem);
    expect(convert(JSON.parse('{"conversations":[{"from":"constructor","value":"x"}]}'))).toBeInstanceOf(RecordProblem);
  });
});

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Random } from '../../../src/core/random.js';
import { type Analysis, type AnalysisOptions, analyse } from '../../../src/data/view/analyse.js';
import { Duplicates, type Found } from '../../../src/data/view/duplicates.js';
import { filter } from '../../../src/data/view/filter.js';
import { hashText, SeenTexts } from '../../../src/data/view/hashes.js';
import { signatureOf } from '../../../src/data/view/near.js';
import { oddEncoding } from '../../../src/data/view/text-problems.js';
import { parseWhere } from '../../../src/data/view/where.js';
import {
  exampleTokenizer,
  fileWith,
  jsonl,
  plainOptions,
  templateText,
  temporaryFolder,
  tokenizerFolder,
} from './support.js';

const silent = { row: () => undefined, share: () => undefined };
const ask = (prompt: string, completion: string): object => ({ prompt, completion });
const chat = (...turns: [string, string][]): object => ({
  messages: turns.map(([role, content]) => ({ role, content })),
});

async function look(records: readonly unknown[], options: Partial<AnalysisOptions> = {}): Promise<Analysis> {
  return analyse({ path: fileWith(jsonl(records)), format: 'auto', evaluation: [], ...options }, silent);
}

const rowsOf = (analysis: Analysis): Record<string, number[]> =>
  Object.fromEntries(analysis.problems.map(({ kind, rows }) => [kind, rows.map(({ row }) => row)]));

const sentence = (seed: number): string =>
  Array.from({ length: 40 }, (_, i) => `w${(i * 7 + seed * 13) % 997}x${i % 5}`).join(' ');

describe('problems', () => {
  test('each kind is found on its row, and nothing else is', async () => {
    const long = sentence(1);
    const records = [
      ask('What is a river?', 'Water that flows.'),
      ask('what is  a RIVER?', 'A road.'),
      ask('What is a hill?', ''),
      ask('What is a lake?', 'A large\u0000 pond.'),
      ask('What is a cafe?', 'A cafÃ© is a place.'),
      ask('What is a river?', 'Water that flows.'),
      ask('Tell a story', long),
      ask('Tell a story!', `${long} end`),
      { prompt: 'no answer' },
      { text: 'of another format' },
      chat(['user', 'a'], ['user', 'b'], ['assistant', 'c']),
      chat(['assistant', 'first'], ['user', 'then'], ['assistant', 'last']),
      chat(['user', 'who?'], ['assistant', 'me']),
    ];
    const evaluation = fileWith(jsonl([ask('WHO?', 'you'), ask('never', 'met')]));
    const analysis = await look(records, { evaluation: [evaluation] });
    expect(rowsOf(analysis)).toEqual({
      malformed: [8],
      'empty-completion': [2],
      'exact-duplicate': [5],
      'near-duplicate': [7],
      'eval-overlap': [12],
      'mixed-formats': [9, 10, 11, 12],
      'odd-encoding': [3, 4],
      'role-order': [10, 11],
      'conflicting-answers': [1],
    });
    expect(analysis).toMatchObject({
      records: 13,
      usable: 12,
      labels: undefined,
      formats: { custom: 8, text: 1, messages: 3 },
    });
    expect(analysis.problems.find(({ kind }) => kind === 'near-duplicate')?.rows[0]).toMatchObject({ other: 6 });
  });

  test('keys that stand twice in an object', async () => {
    const path = fileWith('\ufeff{"prompt":"a","completion":"b"}\n\n{"prompt":"c","completion":"d","prompt":"e"}\n');
    const analysis = await analyse({ path, format: 'auto', evaluation: [] }, silent);
    expect(analysis.problems).toMatchObject([{ kind: 'duplicate-keys', count: 1, rows: [{ row: 1, line: 3 }] }]);
    const array = fileWith('[{"prompt":"c","completion":"d","prompt":"e"}]', 'x.json');
    expect((await analyse({ path: array, format: 'auto', evaluation: [] }, silent)).problems).toEqual([]);
  });

  test('answers outside the labels', async () => {
    const records = Array.from({ length: 200 }, (_, i) => ask(`review ${i} ${sentence(i)}`, i % 2 ? 'good' : 'Bad'));
    records[77] = ask('review 77', 'goood');
    records[99] = ask(
      'review 99',
      'I cannot judge this, for it says nothing of the sort that a label would need to be given.',
    );
    const analysis = await look(records);
    expect(rowsOf(analysis)['label-outlier']).toEqual([77, 99]);
    expect(analysis.labels?.map(({ label }) => label).sort()).toEqual(['Bad', 'good']);
    const given = await look(records, { labels: ['good', 'bad', 'goood'] });
    expect(rowsOf(given)['label-outlier']).toEqual([99]);
  });

  test('free answers are no labels', async () => {
    const analysis = await look(Array.from({ length: 50 }, (_, i) => ask(`q${i}`, `answer ${i}`)));
    expect(analysis.labels).toBeUndefined();
    expect(analysis.problems).toEqual([]);
  });

  test('tokens, loss and truncation are those of the trainer', async () => {
    const records = Array.from({ length: 20 }, (_, i) => ask(`question ${i}`, 'word '.repeat(i * 3)));
    const model = {
      modelDirectory: tokenizerFolder('qwen'),
      chatTemplate: templateText('chatml'),
      ...plainOptions,
      maxLength: 40,
      lossOn: 'completion' as const,
    };
    const analysis = await look(records, { model });
    const tokenizer = exampleTokenizer('qwen', templateText('chatml'));
    let [tokens, loss, cut] = [0, 0, 0];
    for (const [i, record] of (records as { prompt: string; completion: string }[]).entries()) {
      const made = tokenizer.tokenize(
        {
          kind: 'chat',
          place: { file: '', index: i, line: 1 },
          messages: [
            { role: 'user', content: record.prompt },
            { role: 'assistant', content: record.completion },
          ],
        },
        'completion',
        40,
      );
      tokens += made.tokens.length;
      loss += made.mask.reduce((sum, one) => sum + one, 0);
      if (made.truncated > 0) cut++;
    }
    expect(analysis.tokens).toMatchObject({ tokens, lossTokens: loss, truncatedRecords: cut, maskSource: 'turns' });
    expect(cut).toBeGreaterThan(0);
    expect(rowsOf(analysis).truncated).toHaveLength(cut);
  });

  test('a sample is marked as one', async () => {
    const records = Array.from({ length: 30 }, (_, i) => ask(`q${i}`, `a${i}`));
    expect(await look(records, { limit: 10 })).toMatchObject({ records: 10, sampled: true });
    expect(await look(records, { limit: 100 })).toMatchObject({ records: 30, sampled: false });
  });

  test.each([
    ['plain text, naïve café, 東京, 🙂', undefined],
    ['lost \ufffd', /U\+FFFD/],
    ['\u001b[31mred', /U\+001B/],
    ['a\u202eb', /direction/],
    ['half \ud83d', /half of a character/],
    ['itâ€™s', /another encoding/],
  ])('the text %j', (text, message) => {
    if (message === undefined) expect(oddEncoding(text)).toBeUndefined();
    else expect(oddEncoding(text)).toMatch(message);
  });
});

describe('duplicates', () => {
  const found = (records: readonly { readonly text: string; readonly prompt?: string; readonly answer?: string }[]) => {
    const duplicates = new Duplicates();
    for (const [row, { text, prompt, answer = '' }] of records.entries()) {
      const answered = prompt === undefined ? undefined : { prompt: hashText(prompt), answer: hashText(answer) };
      duplicates.add({ row, line: row + 1, exact: hashText(text), answered, signature: signatureOf(text) });
    }
    const all: Found[] = [];
    duplicates.find(
      (one) => all.push(one),
      () => undefined,
    );
    duplicates.close();
    return all;
  };

  test('finds almost all that share 95 %, and none that share half', () => {
    const words = (seed: number): string[] =>
      Array.from({ length: 120 }, (_, i) => `v${(seed * 7919 + i * 104_729) % 1_000_003}`);
    const records = Array.from({ length: 200 }, (_, i) => {
      const base = words(i);
      const half = [...base.slice(0, 60), ...words(10_000 + i).slice(0, 60)];
      return [base, base.with(60, 'another'), half].map((some) => ({ text: some.join(' ') }));
    }).flat();
    const near = found(records);
    expect(near.every(({ kind, row, other }) => kind === 'near-duplicate' && row % 3 === 1 && other === row - 1)).toBe(
      true,
    );
    expect(near.length).toBeGreaterThan(185);
  });

  test('finds among many records, in memory and in the temporary file, what a map finds', () => {
    const random = new Random(3);
    const records = Array.from({ length: 50_000 }, (_, row) => ({
      text: `text ${random.below(60_000)}`,
      ...(row % 7 === 0 ? {} : { prompt: `prompt ${random.below(80_000)}`, answer: `${random.below(2)}` }),
    }));
    const texts = new Map<string, number>();
    const prompts = new Map<string, number>();
    const expected: [string, number, number][] = [];
    for (const [row, { text, prompt, answer }] of records.entries()) {
      const same = texts.get(text);
      if (same === undefined) texts.set(text, row);
      else expected.push(['exact-duplicate', row, same]);
      if (prompt === undefined) continue;
      const asked = prompts.get(prompt);
      if (asked === undefined) prompts.set(prompt, row);
      else if (records[asked]?.answer !== answer) expected.push(['conflicting-answers', row, asked]);
    }
    const all = found(records);
    for (const kind of ['exact-duplicate', 'conflicting-answers']) {
      const of = expected.filter(([one]) => one === kind);
      expect(all.filter((one) => one.kind === kind).map(({ row, other }) => [kind, row, other])).toEqual(of);
      expect(of.length).toBeGreaterThan(4000);
    }
    expect(all.every(({ row, line }) => line === row + 1)).toBe(true);
  });

  test('hashes of many texts are told apart, and found again', () => {
    const seen = new SeenTexts();
    for (let i = 0; i < 20_000; i++) expect(seen.put(hashText(`text ${i}`), i)).toBeUndefined();
    for (let i = 0; i < 20_000; i++) expect(seen.put(hashText(`text ${i}`), 0)).toBe(i);
    expect(seen.has(hashText('text 20000'))).toBe(false);
  });
});

describe('filter', () => {
  const records = [
    chat(['user', 'Hello there'], ['assistant', 'Sorry, no.']),
    chat(['system', 'Be brief'], ['user', 'Sum of 2 and 3'], ['assistant', '5']),
    { ...ask('Is it?', 'Yes'), meta: { source: 'web', score: 7, tags: ['a', 'b'] } },
    { ...ask('Is it not?', 'no'), meta: { source: 'book', score: 2.5, tags: [] } },
    { broken: true },
    chat(['user', 'Hello there'], ['assistant', 'Sorry, no.']),
  ];
  const choose = async (where: string, more: object = {}) =>
    filter(
      { data: { path: fileWith(jsonl(records)), format: 'auto', evaluation: [] }, where: parseWhere(where), ...more },
      silent,
    );

  test.each<[string, number[]]>([
    ['text : "SORRY"', [0, 5]],
    ['assistant ~ /^sorry/i and not user : sum', [0, 5]],
    ['turns >= 3', [1]],
    ['system = "Be brief" or label = YES', [1, 2]],
    ['field.meta.score > 2 and field.meta.tags = b', [2]],
    ['field.meta.source != web and field.meta.source ~ .', [3]],
    ['length < 12', [2, 4]],
    ['problem = malformed', [4]],
    ['problem != any', [0, 1]],
    ['problem = exact-duplicate', [5]],
    ['row <= 2', [0, 1]],
    ['(row = 1 or row = 2) and format = messages', [0, 1]],
    ['user ~ /\\d \\w+ \\d/', [1]],
  ])('%s', async (where, expected) => {
    expect([...(await choose(where)).rows]).toEqual(expected);
  });

  test('sorted by length', async () => {
    const { rows, lengths } = await choose('problem != malformed', { sort: '-length' });
    expect([...rows]).toEqual([1, 0, 5, 3, 2]);
    expect([...lengths]).toEqual([...lengths].sort((a, b) => b - a));
  });

  test.each([
    ['length > many', /expected a number, not many \(column 10/],
    ['lenght > 3', /cannot compare lenght/],
    ['text ~ /(/', /Invalid regular expression/],
    ['text = "open', /closing " is missing/],
    ['(row = 1', /expected|closing/],
    ['row = 1 row = 2', /expected "and" or "or"/],
    ['problem = odd', /no such problem/],
    ['', /ends where a condition is expected/],
  ])('%j is refused', (where, message) => {
    expect(() => parseWhere(where)).toThrow(message);
  });

  test('no text makes the parser do anything but answer or refuse', () => {
    const words = fc.constantFrom(
      'text',
      'row',
      'not',
      'and',
      'or',
      '(',
      ')',
      '=',
      '~',
      '/a/',
      '"',
      "'",
      '!:',
      '3',
      'problem',
      '\\',
      '__proto__',
      'field.__proto__',
    );
    fc.assert(
      fc.property(fc.array(words, { maxLength: 12 }), (parts) => {
        try {
          parseWhere(parts.join(' '));
        } catch (error) {
          expect(error).toHaveProperty('name', 'LabError');
        }
      }),
      { numRuns: 3000, seed: 8 },
    );
  });

  test('a new data set, never over another, and nothing where it fails', async () => {
    const output = join(temporaryFolder(), 'out.jsonl');
    expect(await choose('turns >= 2 or problem = malformed', { output })).toMatchObject({ records: 6, unwritten: 0 });
    const written = readFileSync(output, 'utf8');
    expect(written).toBe(jsonl(records));
    await expect(choose('turns = 2', { output })).rejects.toThrow(/exists already/);
    expect(readFileSync(output, 'utf8')).toBe(written);
    const other = join(temporaryFolder(), 'out.jsonl');
    const data = {
      path: fileWith('a,b\n1,2\n', 'x.csv').replace('x.csv', 'missing.csv'),
      format: 'auto' as const,
      evaluation: [],
    };
    await expect(filter({ data, where: { kind: 'all' }, output: other }, silent)).rejects.toThrow(/cannot be opened/);
    expect(readdirSync(dirname(other))).toEqual([]);
    await expect(choose('row = 1', { output: other.replace('.jsonl', '.csv') })).rejects.toThrow(/written as JSONL/);
  });
});

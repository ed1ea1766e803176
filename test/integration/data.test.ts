/** Whole data sets through the worker, as the trainer opens them. */

import { appendFileSync } from 'node:fs';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { formatError } from '../../src/core/errors.js';
import { openTrainingData } from '../../src/data/index.js';
import type { TokenizedExample, TrainingData, TrainingDataOptions } from '../../src/data/types.js';
import buildDataWorker from '../setup/data-worker.js';
import { fileWith, jsonl, modelFolder, templateText, tokenizerFolder, trainingOptions } from '../unit/data/support.js';

beforeAll(buildDataWorker);

const opened: TrainingData[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((data) => data.close()));
});

async function open(
  options: Partial<TrainingDataOptions> & { file: string; evalFile?: string },
  signal?: AbortSignal,
): Promise<TrainingData> {
  const { file, evalFile, ...rest } = options;
  const evaluation: TrainingDataOptions['evaluation'] =
    evalFile === undefined ? {} : { held: [{ path: evalFile, format: 'auto' }] };
  const train = [{ path: file, format: 'auto' as const }];
  const data = await openTrainingData(trainingOptions({ train, evaluation, ...rest }), signal);
  opened.push(data);
  return data;
}

const failure = async (work: Promise<unknown>): Promise<string> =>
  formatError(
    await work.then(
      () => new Error('nothing was wrong'),
      (error: unknown) => error,
    ),
  );

const pair = (i: number, output = `answer ${i}`) => ({ instruction: `question ${i}`, input: '', output });
const pairs = (count: number) => Array.from({ length: count }, (_, i) => pair(i));

async function epoch(data: TrainingData, number: number, batch = 7): Promise<TokenizedExample[]> {
  await data.seek(number, 0);
  const all: TokenizedExample[] = [];
  for (;;) {
    const some = await data.next(batch);
    all.push(...some);
    if (some.length < batch) return all;
  }
}

const indexes = (examples: readonly TokenizedExample[]): number[] => examples.map(({ place }) => place.index);
const sorted = (numbers: readonly number[]): number[] => [...numbers].sort((a, b) => a - b);

describe('a data set in memory', () => {
  it('is read, tokenised and reported on', async () => {
    const data = await open({ file: fileWith(jsonl(pairs(20))) });
    expect(data.report).toMatchObject({
      maskSource: 'turns',
      problems: [],
      train: { records: 20, exact: true, truncatedRecords: 0, skippedRecords: 0, formats: { alpaca: 20 } },
    });
    const examples = await epoch(data, 0);
    expect(sorted(indexes(examples))).toEqual(Array.from({ length: 20 }, (_, i) => i));
    expect(examples.reduce((sum, { tokens }) => sum + tokens.length, 0)).toBe(data.report.train.tokens);
    const first = examples.find(({ place }) => place.index === 3);
    expect(first?.place.line).toBe(4);
    expect(await data.decode(first?.tokens ?? new Int32Array())).toBe(
      '<|im_start|>user\nquestion 3<|im_end|>\n<|im_start|>assistant\nanswer 3<|im_end|>\n',
    );
    const trained = first?.tokens.filter((_, i) => first.mask[i] === 1) ?? new Int32Array();
    expect(await data.decode(trained)).toBe('answer 3<|im_end|>');
    expect([...data.stopTokens]).toContain(trained.at(-1));
  });

  it('is shuffled by seed and epoch, and goes on in the middle of an epoch', async () => {
    const file = fileWith(jsonl(pairs(30)));
    const data = await open({ file });
    const again = await open({ file });
    const first = indexes(await epoch(data, 0));
    expect(indexes(await epoch(again, 0))).toEqual(first);
    expect(indexes(await epoch(data, 1))).not.toEqual(first);
    await again.seek(0, 11);
    expect(indexes(await again.next(5))).toEqual(first.slice(11, 16));
    expect(indexes(await epoch(await open({ file, seed: 43 }), 0))).not.toEqual(first);
    expect(indexes(await epoch(await open({ file, shuffle: false }), 3))).toEqual(sorted(first));
  });

  it('takes its first records after the shuffle, and as many of an evaluation set', async () => {
    const file = fileWith(jsonl(pairs(30)));
    const data = await open({
      file,
      evalFile: fileWith(jsonl(pairs(50).slice(30))),
      maxTrainSamples: 5,
      maxEvalSamples: 4,
    });
    expect(await epoch(data, 0)).toHaveLength(5);
    expect(data.report.train.records).toBe(5);
    expect(data.evaluation[0]?.examples).toHaveLength(4);
  });

  it('makes evaluation sets with prompts, references and labels', async () => {
    const tickets = Array.from({ length: 30 }, (_, i) => pair(i, ['Billing', 'Shipping', 'billing '][i % 3]));
    const data = await open({ file: fileWith(jsonl(pairs(5))), evalFile: fileWith(jsonl(tickets)) });
    const [set] = data.evaluation;
    expect(set).toMatchObject({ name: 'held', labels: ['Billing', 'Shipping'] });
    const prompt = set?.prompts[1];
    expect(prompt).toMatchObject({ reference: 'Shipping', promptText: 'question 1' });
    expect(await data.decode(prompt?.prompt ?? new Int32Array())).toBe(
      '<|im_start|>user\nquestion 1<|im_end|>\n<|im_start|>assistant\n',
    );
    const [made] = await data.encodePrompts(['question 1']);
    expect(made?.prompt).toEqual(prompt?.prompt);
  });

  it('splits an evaluation set off without leaking equal prompts', async () => {
    const records = Array.from({ length: 60 }, (_, i) => ({
      prompt: `${i % 2 === 0 ? 'P' : 'p'}rompt  ${i % 20}`,
      completion: `${i}`,
    }));
    const data = await open({ file: fileWith(jsonl(records)), testSize: 0.25 });
    const held = new Set(data.evaluation[0]?.prompts.map(({ promptText }) => promptText.toLowerCase()));
    const kept = await Promise.all((await epoch(data, 0)).map(({ tokens }) => data.decode(tokens)));
    expect(data.report.train.records + (data.report.evaluation.eval?.records ?? 0)).toBe(60);
    expect(held.size).toBeGreaterThan(0);
    for (const text of kept) for (const prompt of held) expect(text.toLowerCase()).not.toContain(`${prompt}<`);
    expect(data.report.problems).toEqual([]);
  });

  it('warns of evaluation records that training has too', async () => {
    const data = await open({
      file: fileWith(jsonl(pairs(10))),
      evalFile: fileWith(jsonl([pair(3), { instruction: ' QUESTION  4', output: 'x' }, pair(99)])),
    });
    expect(data.report.problems).toMatchObject([
      { kind: 'eval-overlap', severity: 'warning', count: 2, places: [{ place: { line: 1 } }, { place: { line: 2 } }] },
    ]);
  });

  it('counts what max_length cuts off, and leaves out and names what then trains nothing', async () => {
    const data = await open({
      file: fileWith(jsonl([pair(1), pair(2, 'word '.repeat(50)), { ...pair(3), input: 'long '.repeat(50) }])),
      maxLength: 40,
    });
    expect(data.report.train).toMatchObject({ records: 2, truncatedRecords: 2 });
    expect(data.report.train.truncatedTokens).toBeGreaterThan(20);
    expect(data.report.problems).toMatchObject([
      { kind: 'truncated', count: 2, places: [{ place: { line: 2 } }, { place: { line: 3 } }] },
      { kind: 'no-loss-token', count: 1, places: [{ place: { line: 3 } }] },
    ]);
    expect(sorted(indexes(await epoch(data, 0)))).toEqual([0, 1]);
  });

  it('names records that never train a stop token', async () => {
    const source =
      '{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}';
    const data = await open({ file: fileWith(jsonl(pairs(12))), chatTemplate: source });
    expect(data.report.problems).toMatchObject([{ kind: 'untrained-stop-token', severity: 'warning', count: 12 }]);
    expect(data.report.problems[0]?.places).toHaveLength(10);
  });

  it('warns where max_length cuts every stop token off', async () => {
    const data = await open({
      file: fileWith(jsonl([pair(1, 'word '.repeat(50)), pair(2, 'word '.repeat(50))])),
      maxLength: 40,
    });
    expect(data.report.problems).toMatchObject([
      { kind: 'truncated', count: 2 },
      { kind: 'untrained-stop-token', places: [{ message: expect.stringMatching(/cuts every record off/) }] },
    ]);
  });

  it('names conversations without an answer, and errs where no record has one', async () => {
    const asked = { messages: [{ role: 'user', content: 'a' }] };
    const some = await open({
      file: fileWith(jsonl([asked, { messages: [...asked.messages, { role: 'assistant', content: 'b' }] }])),
    });
    expect(some.report.problems).toMatchObject([{ kind: 'no-loss-token', count: 1 }]);
    const none = await open({ file: fileWith(jsonl([asked])) });
    expect(none.report.problems.find(({ severity }) => severity === 'error')).toMatchObject({ kind: 'template' });
  });

  it("errs where the tokenizer lacks the template's tokens", async () => {
    const data = await open({ file: fileWith(jsonl(pairs(3))), modelDirectory: tokenizerFolder('llama3') });
    const [problem] = data.report.problems.filter(({ severity }) => severity === 'error');
    expect(problem?.message).toMatch(/<\|im_start\|>, <\|im_end\|>/);
  });

  it('reports mixed formats', async () => {
    const mixed = [pair(1), { prompt: 'a', completion: 'b' }];
    const data = await open({ file: fileWith(jsonl(mixed)) });
    expect(data.report.train.formats).toEqual({ alpaca: 1, custom: 1 });
    expect(data.report.problems).toMatchObject([
      { kind: 'mixed-formats', message: expect.stringMatching(/alpaca, custom/) },
    ]);
  });
});

describe('bad records', () => {
  const broken = [
    pair(0),
    { instruction: 'a' },
    pair(2),
    ...Array.from({ length: 12 }, () => ({ instruction: 1, output: [] })),
  ];

  it('stop the start: file, line, field and what was expected, the first ten listed', async () => {
    const file = fileWith(jsonl(broken));
    const message = await failure(open({ file }));
    expect(message).toContain(`${file}:2: output: is missing: a text is expected (13 bad records)`);
    expect(message).toContain(`${file}:4: output: must be a text, not a list`);
    expect(message.match(/: output: must be/g)).toHaveLength(9);
    expect(message).toContain('and 3 more');
  });

  it('are counted and named where they may be skipped', async () => {
    const data = await open({ file: fileWith(jsonl(broken)), onBadRecord: 'skip' });
    expect(data.report.train).toMatchObject({ records: 2, skippedRecords: 13 });
    expect(data.report.problems).toMatchObject([{ kind: 'bad-record', count: 13 }]);
    expect(data.report.problems[0]?.places).toHaveLength(10);
  });

  it('are those too that the template refuses', async () => {
    const twice = {
      messages: [
        { role: 'user', content: 'a' },
        { role: 'user', content: 'b' },
        { role: 'assistant', content: 'c' },
      ],
    };
    const options = {
      file: fileWith(jsonl([pair(1), twice])),
      modelDirectory: tokenizerFolder('llama2'),
      chatTemplate: templateText('mistral-v0.1'),
    };
    expect(await failure(open(options))).toMatch(
      /:2: .*the chat template refuses the conversation: Conversation roles must alternate/,
    );
    expect((await open({ ...options, onBadRecord: 'skip' })).report.train).toMatchObject({
      records: 1,
      skippedRecords: 1,
    });
  });

  it.each([
    ['', /is empty/],
    ['[]', /no records/],
    ['nonsense', /:1: .*not valid JSON at line 1, column 1/],
  ])('a file of %j', async (content, message) => {
    expect(await failure(open({ file: fileWith(content) }))).toMatch(message);
  });

  it('a file that is not there', async () => {
    expect(await failure(open({ file: '/nowhere/data.jsonl' }))).toMatch(/^\/nowhere\/data.jsonl: cannot be opened/);
  });
});

describe('streaming', () => {
  it('gives the same records as reading all at once, each once an epoch', async () => {
    const file = fileWith(jsonl(pairs(200)));
    const data = await open({ file, streaming: true });
    const first = await epoch(data, 0);
    const whole = await epoch(await open({ file }), 0);
    expect(sorted(indexes(first))).toEqual(sorted(indexes(whole)));
    expect(indexes(first)).not.toEqual(sorted(indexes(first)));
    expect(indexes(await epoch(data, 1))).not.toEqual(indexes(first));
    const byIndex = new Map(whole.map((example) => [example.place.index, example]));
    for (const example of first) expect(example).toEqual(byIndex.get(example.place.index));
  });

  it('goes exactly to where a resumed run continues, records that train nothing or are skipped among them', async () => {
    const records: unknown[] = pairs(100).map((record, i) =>
      i % 9 === 0 ? { messages: [{ role: 'user', content: 'a' }] } : record,
    );
    records[5] = { instruction: 3 };
    const options = { file: fileWith(jsonl(records)), streaming: true, onBadRecord: 'skip' } as const;
    const data = await open(options);
    const whole = indexes(await epoch(data, 2));
    expect(whole).toHaveLength(100 - 12 - 1);
    const resumed = await open(options);
    for (const index of [0, 1, 40, whole.length]) {
      await resumed.seek(2, index);
      expect(indexes(await resumed.next(200))).toEqual(whole.slice(index));
    }
  });

  it('starts before the file has been read to its end, with counts marked as estimates', async () => {
    const file = fileWith(jsonl(pairs(6000)));
    appendFileSync(file, '{"instruction": "broken"}\n');
    const data = await open({ file, streaming: true });
    expect(data.report.train.exact).toBe(false);
    expect(data.report.train.records).toBeGreaterThan(5400);
    expect(data.report.train.records).toBeLessThan(6600);
    await data.seek(0, 0);
    expect(await data.next(50)).toHaveLength(50);
    expect(await failure(epoch(data, 0, 1000))).toMatch(/:6001: output: is missing/);
  });

  it('holds equal prompts back from training when it splits', async () => {
    const records = Array.from({ length: 300 }, (_, i) => ({ prompt: `prompt ${i % 40}`, completion: `${i}` }));
    const data = await open({ file: fileWith(jsonl(records)), streaming: true, testSize: 0.2 });
    const held = new Set(data.evaluation[0]?.examples.map(({ place }) => place.index % 40));
    const kept = new Set((await epoch(data, 0)).map(({ place }) => place.index % 40));
    expect(held.size + kept.size).toBe(40);
    expect([...held].filter((prompt) => kept.has(prompt))).toEqual([]);
  });

  it('warns of an overlap in what was read before the start, and checks it like all data', async () => {
    const options = { evalFile: fileWith(jsonl([pair(3)])), streaming: true };
    const data = await open({ file: fileWith(jsonl(pairs(10))), ...options });
    expect(data.report.problems).toMatchObject([{ kind: 'eval-overlap', count: 1 }]);
    expect(await failure(open({ file: fileWith('{"a":1}\n'), ...options }))).toMatch(/no known format/);
  });
});

describe('what does not end', () => {
  const file = () => fileWith(jsonl(pairs(3)));

  it('a template is stopped, and named with the model', async () => {
    const endless =
      '{% for a in range(100000) %}{% for b in range(100000) %}{% for c in range(100000) %}{% endfor %}{% endfor %}{% endfor %}';
    const message = await failure(open({ file: file(), chatTemplate: endless, secondsPerRecord: 1 }));
    expect(message).toContain(tokenizerFolder('qwen'));
    expect(message).toMatch(/takes longer than 1 s and was stopped/);
  });

  it('a record on which a template hangs is named', async () => {
    const source = `{% for m in messages %}{% if 'question 1' in m.content %}{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}{% endif %}{% endfor %}${templateText('chatml')}`;
    const path = file();
    expect(await failure(open({ file: path, chatTemplate: source, secondsPerRecord: 1 }))).toContain(
      `${path}:2: this takes longer`,
    );
  });

  it('a runaway regular expression of a tokenizer is stopped', async () => {
    const tokenizer = JSON.stringify({
      version: '1.0',
      added_tokens: [],
      normalizer: null,
      pre_tokenizer: { type: 'Split', pattern: { Regex: '(x+x+)+y' }, behavior: 'Isolated', invert: false },
      post_processor: null,
      decoder: null,
      model: { type: 'BPE', vocab: { x: 0, y: 1 }, merges: [] },
    });
    const modelDirectory = modelFolder('qwen', { 'tokenizer.json': tokenizer, 'tokenizer_config.json': '{}' });
    const records = [{ text: 'x'.repeat(60) }];
    expect(await failure(open({ file: fileWith(jsonl(records)), modelDirectory, secondsPerRecord: 1 }))).toMatch(
      /was stopped/,
    );
  });

  it('a template that writes without end is stopped', async () => {
    const source = `{% set ns = namespace(t='xxxxxxxxxxxxxxxx') %}{% for a in range(28) %}{% set ns.t = ns.t + ns.t %}{% endfor %}{{ ns.t }}`;
    expect(await failure(open({ file: file(), chatTemplate: source }))).toMatch(
      /chat template (refuses|renders more than)/,
    );
  });

  it('opening is given up when the caller says so', async () => {
    const stop = new AbortController();
    const endless = '{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}';
    const opening = open({ file: file(), chatTemplate: endless }, stop.signal);
    setTimeout(() => stop.abort(new Error('enough')), 50);
    await expect(opening).rejects.toThrow('enough');
  });

  it('what is asked after closing is refused', async () => {
    const data = await open({ file: file() });
    await data.close();
    await expect(data.next(1)).rejects.toThrow(/is closed/);
  });
});

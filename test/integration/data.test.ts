/** Whole data sets through the worker, as the trainer opens them. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LabError } from '../../src/core/errors.js';
import { openTrainingData, type TrainingData, type TrainingDataOptions } from '../../src/data/index.js';

const fixtures = fileURLToPath(new URL('../fixtures/data/', import.meta.url));
const chatml =
  "{%- for m in messages %}{{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{%- endfor %}" +
  "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sft-lab-data-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, records: readonly unknown[]): string {
  const path = join(folder, name);
  writeFileSync(
    path,
    records.map((record) => (typeof record === 'string' ? record : JSON.stringify(record))).join('\n'),
  );
  return path;
}

const open: TrainingData[] = [];
async function data(options: Partial<TrainingDataOptions>): Promise<TrainingData> {
  const opened = await openTrainingData({
    modelDirectory: join(fixtures, 'qwen'),
    chatTemplate: chatml,
    promptPrefix: '',
    instructionResponseSeparator: '\n',
    train: [],
    evaluation: {},
    testSize: 0,
    lossOn: 'completion',
    maxLength: 512,
    onBadRecord: 'stop',
    streaming: false,
    shuffle: true,
    shuffleBufferSize: 16,
    seed: 1,
    maxTrainSamples: 0,
    maxEvalSamples: 0,
    ...options,
  });
  open.push(opened);
  return opened;
}
afterAll(() => Promise.all(open.map((one) => one.close())));

const records = (count: number, from = 0): { prompt: string; completion: string }[] =>
  Array.from({ length: count }, (_, i) => ({
    prompt: `question ${from + i}`,
    completion: ['red', 'green', 'blue'][i % 3] ?? '',
  }));

async function epoch(opened: TrainingData, number: number, from = 0): Promise<number[]> {
  await opened.seek(number, from);
  const found: number[] = [];
  for (;;) {
    const examples = await opened.next(7);
    if (examples.length === 0) return found;
    found.push(...examples.map(({ place }) => place.index));
  }
}

describe.each([false, true])('streaming %s', (streaming) => {
  test('every record comes once an epoch, and an epoch goes on where it is sent', async () => {
    const opened = await data({ train: [{ path: file('all.jsonl', records(100)), format: 'auto' }], streaming });
    const first = await epoch(opened, 0);
    expect([...first].sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(await epoch(opened, 1)).not.toEqual(first);
    expect(await epoch(opened, 0, 63)).toEqual(first.slice(63));
    expect(opened.report.train).toMatchObject({ exact: !streaming });
    expect(Math.abs(opened.report.train.records - 100)).toBeLessThanOrEqual(streaming ? 2 : 0);
  });

  test('a split evaluation set holds nothing that is trained on', async () => {
    const opened = await data({
      train: [{ path: file('split.jsonl', records(200)), format: 'auto' }],
      testSize: 0.2,
      streaming,
    });
    const held = opened.evaluation[0]?.examples.map(({ place }) => place.index) ?? [];
    const trained = await epoch(opened, 0);
    expect(held.length).toBeGreaterThan(20);
    expect(held.filter((index) => trained.includes(index))).toEqual([]);
    expect(held.length + trained.length).toBe(200);
  });

  test('bad records stop the start with file, line, field and what was expected', async () => {
    const path = file('bad.jsonl', [...records(3), '{"prompt": "x", "completion": null}', 'not json', ...records(3)]);
    const error: unknown = await data({ train: [{ path, format: 'auto' }], streaming }).catch(
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(LabError);
    if (!(error instanceof LabError)) return;
    expect(error.place).toEqual({ file: path, line: 4, field: 'completion' });
    expect(error.advice).toMatch(
      /bad\.jsonl:4: completion: must be a text[\s\S]*bad\.jsonl:5: the text is not valid JSON/,
    );
  });

  test('bad records are skipped and counted where that is asked for', async () => {
    const path = file('skip.jsonl', [...records(5), 'not json', ...records(5, 5)]);
    const opened = await data({ train: [{ path, format: 'auto' }], onBadRecord: 'skip', streaming });
    expect(await epoch(opened, 0)).toHaveLength(10);
    expect(opened.report.problems).toContainEqual(expect.objectContaining({ kind: 'bad-record', count: 1 }));
    const first = await epoch(opened, 0);
    expect(await epoch(opened, 0, 4)).toEqual(first.slice(4));
  });
});

test('a bad record beyond the first window of a stream stops when it is reached', async () => {
  const path = file('late.jsonl', [...records(2100), 'not json']);
  const opened = await data({ train: [{ path, format: 'auto' }], streaming: true });
  await expect(epoch(opened, 0)).rejects.toMatchObject({ place: { file: path, line: 2101 } });
});

test('labels, prompts and stop tokens of an evaluation set', async () => {
  const opened = await data({
    train: [{ path: file('t.jsonl', records(10, 1000)), format: 'auto' }],
    evaluation: { held: [{ path: file('e.jsonl', records(30)), format: 'auto' }] },
  });
  const [set] = opened.evaluation;
  expect(set?.labels).toEqual(['blue', 'green', 'red']);
  expect(set?.prompts[0]).toMatchObject({ reference: 'red', promptText: 'question 0' });
  expect(await opened.decode(set?.prompts[0]?.prompt ?? new Int32Array())).toBe(
    '<|im_start|>user\nquestion 0<|im_end|>\n<|im_start|>assistant\n',
  );
  expect(await opened.decode(opened.stopTokens)).toBe('<|im_end|>');
});

test('what overlaps, is cut off, or trains nothing is named and counted', async () => {
  const long = { prompt: 'long '.repeat(300), completion: 'x' };
  const opened = await data({
    train: [{ path: file('p.jsonl', [...records(6), long]), format: 'auto' }],
    evaluation: { held: [{ path: file('o.jsonl', [...records(2), ...records(2, 50)]), format: 'auto' }] },
    maxLength: 64,
  });
  expect(opened.report.problems).toContainEqual(expect.objectContaining({ kind: 'eval-overlap', count: 2 }));
  expect(opened.report.problems).toContainEqual(expect.objectContaining({ kind: 'truncated', count: 1 }));
  expect(opened.report.problems).toContainEqual(
    expect.objectContaining({
      kind: 'no-loss-token',
      count: 1,
      places: [expect.objectContaining({ place: expect.objectContaining({ line: 7 }) })],
    }),
  );
  expect(await epoch(opened, 0)).toHaveLength(6);
});

test('a template without an end-of-turn token is a named problem, not a model that never stops', async () => {
  const opened = await data({
    chatTemplate:
      "{%- for m in messages %}{{- m.role + ': ' + m.content + '\\n' }}{%- endfor %}{%- if add_generation_prompt %}{{- 'assistant: ' }}{%- endif %}",
    train: [{ path: file('stop.jsonl', records(4)), format: 'auto' }],
  });
  expect(opened.report.problems).toContainEqual(expect.objectContaining({ kind: 'untrained-stop-token', count: 4 }));
});

test('a hostile template is stopped', async () => {
  const endless =
    '{%- for a in range(100000) %}{%- for b in range(100000) %}{%- for c in range(100000) %}{%- endfor %}{%- endfor %}{%- endfor %}';
  const started = Date.now();
  await expect(
    data({ chatTemplate: endless, train: [{ path: file('h.jsonl', records(2)), format: 'auto' }] }),
  ).rejects.toBeInstanceOf(LabError);
  expect(Date.now() - started).toBeLessThan(90_000);
}, 120_000);

test('a signal stops the opening', async () => {
  const path = file('abort.jsonl', records(5000));
  const reason = new Error('enough');
  const opening = openTrainingData({ ...(await optionsOf(path)) }, AbortSignal.abort(reason));
  await expect(opening).rejects.toBe(reason);
});

async function optionsOf(path: string): Promise<TrainingDataOptions> {
  return {
    modelDirectory: join(fixtures, 'qwen'),
    promptPrefix: '',
    instructionResponseSeparator: '',
    train: [{ path, format: 'auto' }],
    evaluation: {},
    testSize: 0,
    lossOn: 'all',
    maxLength: 64,
    onBadRecord: 'stop',
    streaming: false,
    shuffle: false,
    shuffleBufferSize: 1,
    seed: 0,
    maxTrainSamples: 0,
    maxEvalSamples: 0,
  };
}

test.each([
  ['no tokenizer', 'nowhere', /tokenizer\.json/],
  ['a missing file', undefined, /cannot be opened/],
])('%s is named', async (_name, modelDirectory, message) => {
  const train = [{ path: join(folder, 'missing.jsonl'), format: 'auto' as const }];
  await expect(
    data(modelDirectory === undefined ? { train } : { train, modelDirectory: join(folder, modelDirectory) }),
  ).rejects.toThrow(message);
});

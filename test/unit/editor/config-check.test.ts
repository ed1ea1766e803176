import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { portablePath } from '../../../src/core/paths.js';
import { checkConfigText } from '../../../src/editor/config/check.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sft-config-'));
  writeFileSync(join(folder, 'train.jsonl'), '{}\n');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const check = (config: object) => checkConfigText(JSON.stringify(config, null, 2), folder);
const good = { model_name_or_path: 'sft-lab/starter', train_dataset: 'train.jsonl' };

it('a good config has no findings', async () => {
  expect(await check(good)).toEqual([]);
});

it('files that are not there are marked where they stand', async () => {
  const findings = await check({
    ...good,
    train_dataset: ['train.jsonl', { path: 'gone.jsonl' }],
    eval_dataset: { easy: 'train.jsonl', hard: ['none.jsonl'] },
    chat_template_path: 'x.jinja',
  });
  const names = findings.map(({ line, key, message }) => [line, key, portablePath(message.replace(folder, ''))]);
  expect(names).toEqual([
    [6, 'path', 'no file at /gone.jsonl'],
    [12, 'hard', 'no file at /none.jsonl'],
    [15, 'chat_template_path', 'no file at /x.jinja'],
  ]);
});

it('a model that is not there says where was looked', async () => {
  const findings = await check({ ...good, model_name_or_path: 'Qwen/Nothing' });
  expect(findings).toMatchObject([{ line: 2, key: 'model_name_or_path', severity: 'error' }]);
  expect(findings[0]?.message).toContain('hf download Qwen/Nothing');
});

it('contradictions and axes that no run could have', async () => {
  const findings = await check({
    ...good,
    eval_strategy: 'steps',
    test_size: 0.1,
    compare: { nonsense: [1], experiment: ['a'], seed: [1] },
  });
  expect(findings.map(({ key }) => key)).toEqual(['eval_strategy', 'nonsense', 'experiment']);
});

it('what the schema says is not said twice, and what is no JSON is left to the editor', async () => {
  expect(await check({ ...good, epochs: 3, learning_rate: 'high' })).toEqual([]);
  expect(await checkConfigText('{"model_name_or_path": ', folder)).toEqual([]);
  expect(await checkConfigText('[1]', folder)).toEqual([]);
  expect(await checkConfigText('{"__proto__": {"train_dataset": "x"}, "compare": {"__proto__": [1]}}', folder)).toEqual(
    [],
  );
});

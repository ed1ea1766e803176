/** The form's session on real files: real reading, real measuring, and what it says of hostile and broken data. */

import { writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { defaultValues } from '../../src/core/form-config.js';
import type { FormState, FormValues } from '../../src/core/view/form.js';
import { measureConfig } from '../../src/editor/form/measurer.js';
import { FormSession, type FormSetting } from '../../src/editor/form/session.js';
import { makeWorkspace, program, until, type Workspace } from './support.js';

let workspace: Workspace;
let session: FormSession | undefined;
let state: FormState | undefined;
const notes: unknown[] = [];

beforeAll(() => {
  workspace = makeWorkspace();
});
afterEach(() => {
  session?.close();
  session = undefined;
  state = undefined;
});
afterAll(() => workspace.remove());

function open(name: string, values: Partial<FormValues> = {}, changes: Partial<FormSetting> = {}): FormSession {
  const file = workspace.path(name);
  const setting: FormSetting = {
    file,
    uri: `file://${file}`,
    bytes: 1,
    folder: dirname(file),
    outputDir: undefined,
    fresh: true,
    values: { ...defaultValues(), model_name_or_path: 'sft-lab/starter', evaluation: 'eval.jsonl', ...values },
    models: [],
    evaluations: [],
    devices: [],
    memory: 16e9,
    bf16: false,
    parametersOf: () => 1e6,
    ...changes,
  };
  const made = new FormSession(
    setting,
    {
      measure: (config, folder, signal) => measureConfig({ node: process.execPath, program }, config, folder, signal),
      measuresAlone: () => true,
      busy: () => false,
      show: (shown) => {
        state = shown;
      },
      note: (error) => notes.push(error),
    },
    { read: 1, measure: 1 },
  );
  session = made;
  made.begin();
  return made;
}

const current = (): FormState => {
  if (state === undefined) throw new Error('nothing shown');
  return state;
};

it('shows format, examples with their mask, and a measured cost; what does not change them is computed', async () => {
  const form = open('train.jsonl');
  await until('the data', () => current().data.status === 'read');
  const { data } = current();
  if (data.status !== 'read') throw new Error('not read');
  expect(data).toMatchObject({ formats: ['alpaca'], maskSource: 'generation' });
  expect(data.examples.map(({ line }) => line)).toEqual([1, 2, 3]);
  const [first] = data.examples;
  const text = (trained: boolean) =>
    first?.shown.filter((token) => token.trained === trained).map((token) => token.text);
  expect(text(true)?.join('')).toBe('yes<|im_end|>');
  expect(text(false)?.join('')).toContain('Word 0: cat');

  await until('the cost', () => current().cost.status === 'measured', 60_000);
  const before = current();
  if (before.cost.status !== 'measured') throw new Error('not measured');
  expect(before.plan).toMatchObject({ steps: 12, stepsPerEpoch: 4, exact: true });
  expect(before.preset).toBe('tiny');
  expect(before.cost.memory).toBeGreaterThan(20e6);

  form.set('num_train_epochs', '6');
  const after = current();
  if (after.cost.status !== 'measured') throw new Error('measured again for the epochs alone');
  expect(after.plan?.steps).toBe(24);
  expect(after.cost.trainSeconds / before.cost.trainSeconds).toBeCloseTo(2, 5);
  expect(after.preset).toBe(null);
  expect(form.config()).toMatchObject({ num_train_epochs: 6, eval_dataset: 'eval.jsonl' });

  form.set('loss_on', 'all');
  await until('the mask of all', () => {
    const shown = current().data;
    return shown.status === 'read' && shown.whole && shown.lossTokens > data.lossTokens;
  });
  form.set('num_train_epochs', 'six');
  expect(current().problems).toMatchObject([{ field: 'num_train_epochs' }]);
  expect(form.config()).toBeUndefined();
  expect(notes).toEqual([]);
}, 120_000);

it('names bad records by line, and takes them as warnings where they are to be left out', async () => {
  writeFileSync(
    workspace.path('bad.jsonl'),
    '{"instruction": "a", "output": "b"}\n{"instruction": 7}\n{"instruction": "a", "output": "c"}\n',
  );
  const form = open('bad.jsonl', { evaluation: '(none)' });
  const severity = (): string | undefined => {
    const { data } = current();
    return data.status === 'read' ? data.problems[0]?.severity : data.status;
  };
  await until('the error', () => severity() === 'error');
  expect(current().data).toMatchObject({
    problems: [{ count: 1, mayBeSkipped: true, places: [{ name: 'bad.jsonl', line: 2 }] }],
  });
  expect(current().cost.status).toBe('waiting');
  form.set('on_bad_record', 'skip');
  await until('the warning', () => severity() === 'warning');
  expect(current().data).toMatchObject({ records: 2, skippedRecords: 1, problems: [{ mayBeSkipped: false }] });
});

it('says at the model what is wrong with it', async () => {
  open('train.jsonl', { model_name_or_path: 'no/model' });
  await until('the problem', () => current().problems.length > 0);
  expect(current().problems).toMatchObject([{ field: 'model_name_or_path', severity: 'error' }]);
  expect(current().cost.status).toBe('waiting');
});

it('follows the model with its preset until a person changes something', async () => {
  const sizes: Record<string, number> = { 'sft-lab/starter': 1e6, '7b': 7e9 };
  const form = open('train.jsonl', {}, { memory: 80e9, bf16: true, parametersOf: (name) => sizes[name] });
  expect(current().preset).toBe('tiny');
  form.set('model_name_or_path', '7b');
  expect(current()).toMatchObject({ preset: 'large-lora', values: { use_peft: 'true', bf16: 'true' } });
  form.set('learning_rate', '0.1');
  form.set('model_name_or_path', 'sft-lab/starter');
  expect(current()).toMatchObject({ preset: null, values: { learning_rate: '0.1', use_peft: 'true' } });
  form.applyPreset('tiny');
  expect(current()).toMatchObject({ preset: 'tiny', values: { use_peft: 'false' } });
});

it('hostile text passes as text', async () => {
  const nasty = `<img src=x onerror=alert(1)>\u202e\u0000${'a'.repeat(200)}`;
  writeFileSync(workspace.path('nasty.jsonl'), `${JSON.stringify({ instruction: nasty, output: nasty })}\n`.repeat(3));
  open('nasty.jsonl', { evaluation: '(none)' });
  await until('the data', () => current().data.status === 'read' || current().data.status === 'failed');
  const { data } = current();
  if (data.status !== 'read') throw new Error(JSON.stringify(data));
  expect(JSON.stringify(data).length).toBeLessThan(100_000);
  const shown = data.examples[0]?.shown.map(({ text }) => text).join('') ?? '';
  expect(shown).toContain('<img src=x onerror=alert(1)>\u202e');
});

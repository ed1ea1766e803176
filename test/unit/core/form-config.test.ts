import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkConfig } from '../../../src/core/config-parse.js';
import { variantsOf } from '../../../src/core/experiment.js';
import {
  comparisonAxes,
  comparisonEpochs,
  configOf,
  defaultValues,
  hasPreset,
  withPreset,
} from '../../../src/core/form-config.js';
import { presets } from '../../../src/core/presets.js';
import { evaluationNone, type FormKey, type FormValues, formKeys } from '../../../src/core/view/form.js';

const context = { trainDataset: 'data.jsonl', outputDir: undefined };
const values = (changes: Partial<FormValues> = {}): FormValues => ({
  ...defaultValues(),
  model_name_or_path: 'sft-lab/starter',
  ...changes,
});

it('standard values are a config that says no more than was chosen', () => {
  const { config, problems } = configOf(values(), context);
  expect(problems).toEqual([]);
  expect(config).toEqual({
    model_name_or_path: 'sft-lab/starter',
    train_dataset: 'data.jsonl',
    test_size: 0.1,
    loss_on: 'completion',
    num_train_epochs: 3,
    learning_rate: 5e-5,
    per_device_train_batch_size: 8,
  });
  expect(Object.keys(config).slice(0, 3)).toEqual(['model_name_or_path', 'train_dataset', 'test_size']);
});

it.each(presets)('$label: its values go in and come out', (preset) => {
  for (const bf16 of [true, false]) {
    const chosen = withPreset(values({ lora_r: '99', use_peft: 'true' }), preset, bf16);
    expect(hasPreset(chosen, preset, bf16)).toBe(true);
    const { config, problems } = configOf(chosen, context);
    expect(problems).toEqual([]);
    const wanted = { ...preset.values, bf16: preset.values.bf16 === true && bf16 };
    expect(checkConfig(config)).toMatchObject(wanted);
    expect(hasPreset({ ...chosen, num_train_epochs: '7' }, preset, bf16)).toBe(false);
    // Another way to write the same number is the same preset.
    expect(hasPreset({ ...chosen, learning_rate: String(preset.values.learning_rate) }, preset, bf16)).toBe(true);
  }
});

describe('what is wrong stands at its field', () => {
  it.each<[FormKey, string, string]>([
    ['num_train_epochs', 'many', 'expected a number'],
    ['num_train_epochs', '', 'missing'],
    ['num_train_epochs', '0', 'more than 0'],
    ['per_device_train_batch_size', '2.5', 'whole number'],
    ['learning_rate', '-1', 'at least 0'],
    ['lora_r', '0', 'at least 1'],
    ['test_size', '0', 'more than 0'],
    ['experiment', '../up', 'letters'],
    ['device', 'tpu', 'cuda:0'],
    ['model_name_or_path', ' ', 'missing'],
  ])('%s = %j', (key, text, message) => {
    const { problems } = configOf(values({ use_peft: 'true', [key]: text }), context);
    expect(problems.map(({ field }) => field)).toEqual([key]);
    expect(problems[0]?.message).toContain(message);
  });

  it('all at once', () => {
    const { problems } = configOf(values({ num_train_epochs: 'x', learning_rate: '-1', seed: '1.5' }), context);
    expect(problems.map(({ field }) => field).sort()).toEqual(['learning_rate', 'num_train_epochs', 'seed']);
  });

  it('but not of fields that do not count', () => {
    expect(configOf(values({ lora_r: 'x', use_peft: 'false' }), context).problems).toEqual([]);
    expect(configOf(values({ test_size: 'x', evaluation: evaluationNone }), context).problems).toEqual([]);
  });
});

it('evaluation is split off, a file, or none', () => {
  expect(configOf(values({ evaluation: 'eval.jsonl' }), context).config).toMatchObject({ eval_dataset: 'eval.jsonl' });
  const none = configOf(values({ evaluation: evaluationNone }), context).config;
  expect(none).not.toHaveProperty('eval_dataset');
  expect(none).not.toHaveProperty('test_size');
});

it('a decimal comma, a chosen format and another output folder are understood', () => {
  const { config, problems } = configOf(values({ num_train_epochs: '1,5', format: 'alpaca' }), {
    trainDataset: 'data.jsonl',
    outputDir: '../.sft',
  });
  expect(problems).toEqual([]);
  expect(config).toMatchObject({
    num_train_epochs: 1.5,
    train_dataset: { path: 'data.jsonl', format: 'alpaca' },
    output_dir: '../.sft',
  });
});

it('names of fields are those of all data sets', () => {
  const named = values({ evaluation: 'eval.csv', prompt_field: 'q', completion_field: ' a ', system_field: '' });
  const fields = { prompt: 'q', completion: 'a' };
  expect(configOf(named, context)).toMatchObject({
    problems: [],
    config: { train_dataset: { path: 'data.jsonl', fields }, eval_dataset: { path: 'eval.csv', fields } },
  });
});

it('never throws, and without problems it is a config', () => {
  const text = fc.oneof(
    fc.string(),
    fc.double().map(String),
    fc.constantFrom('true', 'auto', '1e400', '__proto__', '\u202e'),
  );
  const anything = fc.record(Object.fromEntries(formKeys.map((key) => [key, text])) as Record<FormKey, typeof text>);
  fc.assert(
    fc.property(anything, (typed) => {
      const { config, problems } = configOf(typed, context);
      if (problems.length === 0) checkConfig(config);
    }),
    { seed: 7 },
  );
});

it('the comparison is six runs of 12 epochs', () => {
  const axes = { loss_on: [...comparisonAxes.loss_on], num_train_epochs: [...comparisonAxes.num_train_epochs] };
  expect(variantsOf(axes).length).toBe(6);
  expect(comparisonEpochs).toBe(12);
});

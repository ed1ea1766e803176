import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { configJsonSchema, configKeys, describeConfig } from '../../../src/core/config.js';
import { checkConfig, parseConfig, resolveConfig } from '../../../src/core/config-parse.js';
import { formatError, LabError } from '../../../src/core/errors.js';

const least = { model_name_or_path: 'model', train_dataset: 'train.jsonl' };

function mistake(config: unknown, sets: { key: string; value: string }[] = []): LabError {
  try {
    parseConfig(typeof config === 'string' ? config : JSON.stringify(config, null, 2), 'a.sft.json', sets);
  } catch (error) {
    if (error instanceof LabError) return error;
    throw error;
  }
  throw new Error('expected a LabError');
}

describe('parseConfig', () => {
  it('fills in what Hugging Face has as standard', () => {
    const config = parseConfig(JSON.stringify(least), 'a.sft.json');
    expect(config).toMatchObject({
      learning_rate: 5e-5,
      num_train_epochs: 3,
      max_steps: -1,
      per_device_train_batch_size: 8,
      gradient_accumulation_steps: 1,
      lr_scheduler_type: 'linear',
      adam_beta2: 0.999,
      max_grad_norm: 1,
      seed: 42,
    });
  });

  it('names a misspelt key, its line and the nearest name', () => {
    const error = mistake({ ...least, learning_rte: 1e-4 });
    expect(error.place).toEqual({ file: 'a.sft.json', line: 4, field: 'learning_rte' });
    expect(error.message).toBe('no such key');
    expect(error.advice).toContain('Did you mean "learning_rate"?');
  });

  it.each([
    ['max_seq_length', 'max_length'],
    ['lr', 'learning_rate'],
    ['evaluation_strategy', 'eval_strategy'],
    ['epochs', 'num_train_epochs'],
    ['perDeviceTrainBatchSize', 'per_device_train_batch_size'],
  ])('knows what %s is called here', (foreign, ours) => {
    expect(mistake({ ...least, [foreign]: 1 }).advice).toContain(`"${ours}"`);
  });

  it.each([
    [{ ...least, learning_rate: 'fast' }, 'learning_rate', 'expected a number, got "fast"'],
    [{ ...least, max_length: 1.5 }, 'max_length', 'expected a whole number, got 1.5'],
    [{ ...least, max_length: 0 }, 'max_length', 'expected at least 1, got 0'],
    [{ ...least, adam_beta1: 1 }, 'adam_beta1', 'expected less than 1, got 1'],
    [{ ...least, num_train_epochs: 0 }, 'num_train_epochs', 'expected more than 0, got 0'],
    [{ ...least, loss_on: 'completions' }, 'loss_on', 'expected one of completion, all; got "completions"'],
    [{ ...least, streaming: 'yes' }, 'streaming', 'expected a boolean or auto, got "yes"'],
    [{ ...least, device: 'gpu' }, 'device', 'expected `auto`, `cpu` or `cuda:0`, got "gpu"'],
    [{ model_name_or_path: 'm' }, 'train_dataset', 'missing; expected a string or an object or an array'],
    [
      { ...least, train_dataset: { path: 'a', format: 'alpacca' } },
      'train_dataset.format',
      'expected one of auto, alpaca',
    ],
    [{ ...least, train_dataset: ['a', { path: 3 }] }, 'train_dataset[1].path', 'expected a string, got 3'],
    [{ ...least, train_dataset: { path: 'a', fields: { promt: 'q' } } }, 'train_dataset.fields.promt', 'no such key'],
    [{ ...least, eval_dataset: { valid: { path: 'a', frmat: 'x' } } }, 'eval_dataset.valid.frmat', 'no such key'],
    [{ ...least, eval_strategy: 'steps', test_size: 2 }, 'eval_strategy', 'needs eval_steps'],
    [{ ...least, eval_strategy: 'epoch' }, 'eval_strategy', 'no evaluation set'],
    [{ ...least, test_size: 0.1, eval_dataset: 'b' }, 'test_size', 'nothing to split off'],
    [{ ...least, use_peft: true, initialize_model: true }, 'use_peft', 'random weights'],
    [{ ...least, compare: { epochs: [1] } }, 'compare.epochs', 'no axis'],
    [{ ...least, compare: { learning_rate: [] } }, 'compare.learning_rate', 'at least 1 entries'],
    [{ ...least, experiment: '../up' }, 'experiment', 'expected letters'],
  ])('%j: says where and what is allowed', (config, field, message) => {
    const error = mistake(config);
    expect(error.place.field).toBe(field);
    expect(error.message).toContain(message);
  });

  it('tells the nearest of the allowed values', () => {
    expect(mistake({ ...least, lr_scheduler_type: 'cosin' }).advice).toContain('Did you mean "cosine"?');
  });

  it('lists further mistakes after the first', () => {
    const text = formatError(mistake({ ...least, seed: -1, max_length: 'x', threads: 'all' }));
    expect(text).toContain('Also: seed');
    expect(text).toContain('Also: threads');
  });

  it.each([
    ['{"a": 1,\n "b": }', 2],
    ['{\n "a": 1,\n}', 3],
    ['', 1],
    ['{"a": 1', 1],
  ])('%j: not JSON, with the line', (text, line) => {
    const error = mistake(text);
    expect(error.message).toContain('not valid JSON');
    expect(error.place.line).toBe(line);
  });

  it.each(['[]', '3', 'null', '"x"'])('%s is no config', (text) => {
    expect(mistake(text).message).toBe('a config is a JSON object');
  });

  it('lets --set win, reads its values as JSON, and as text where only text fits', () => {
    const config = parseConfig(JSON.stringify({ ...least, seed: 1 }), 'a.sft.json', [
      { key: 'seed', value: '7' },
      { key: 'run_name', value: '7' },
      { key: 'loss_on', value: 'all' },
      { key: 'lora_target_modules', value: '["q_proj","v_proj"]' },
      { key: 'eval_dataset.valid', value: 'b.jsonl' },
    ]);
    expect(config).toMatchObject({
      seed: 7,
      run_name: '7',
      loss_on: 'all',
      lora_target_modules: ['q_proj', 'v_proj'],
      eval_dataset: { valid: 'b.jsonl' },
    });
  });

  it('blames --set for its own mistakes', () => {
    expect(mistake(least, [{ key: 'sed', value: '7' }]).place).toEqual({ file: '--set', field: 'sed' });
  });

  it('does not touch prototypes', () => {
    expect(() =>
      parseConfig(`{"__proto__": {"polluted": 1}, "model_name_or_path": "m", "train_dataset": "t"}`, 'a'),
    ).toThrow();
    expect(() => parseConfig(JSON.stringify(least), 'a', [{ key: '__proto__.polluted', value: '1' }])).toThrow(
      LabError,
    );
    expect('polluted' in {}).toBe(false);
  });
});

describe('resolveConfig', () => {
  it('resolves paths against the file and writes out what may be left out', () => {
    const config = resolveConfig(
      checkConfig({ ...least, eval_dataset: ['a', { path: '/b' }], eval_steps: 5 }),
      '/configs',
      'demo',
    );
    expect(config.train_dataset).toEqual([{ path: resolve('/configs/train.jsonl'), format: 'auto' }]);
    expect(config.eval_dataset).toEqual({
      eval: [
        { path: resolve('/configs/a'), format: 'auto' },
        { path: '/b', format: 'auto' },
      ],
    });
    expect(config).toMatchObject({
      output_dir: resolve('/configs/.sft'),
      experiment: 'demo',
      eval_strategy: 'steps',
      save_strategy: 'epoch',
    });
  });

  it('keeps several evaluation sets apart by name', () => {
    const config = resolveConfig(
      checkConfig({ ...least, eval_dataset: { one: 'a', two: { path: 'b', format: 'alpaca' } } }),
      '/c',
      'x',
    );
    expect(Object.keys(config.eval_dataset)).toEqual(['one', 'two']);
    expect(config.eval_dataset.two?.[0]).toEqual({ path: resolve('/c/b'), format: 'alpaca' });
  });

  it('evaluates never without a set', () => {
    expect(resolveConfig(checkConfig(least), '/', 'x').eval_strategy).toBe('no');
  });

  it('is stable: a resolved config resolves to itself', () => {
    const once = resolveConfig(checkConfig({ ...least, eval_dataset: 'e' }), '/configs', 'demo');
    expect(resolveConfig(checkConfig({ ...once }), '/elsewhere', 'other')).toEqual(once);
  });
});

describe('the JSON Schema', () => {
  const file = new URL('../../../media/schema/run-config.schema.json', import.meta.url);

  it('is up to date in media/schema (npx sft-lab schema -o media/schema/run-config.schema.json)', () => {
    expect(existsSync(file)).toBe(true);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(JSON.parse(JSON.stringify(configJsonSchema())));
  });

  it('describes every key', () => {
    const help = describeConfig().join('\n');
    for (const key of configKeys) if (key !== '$schema') expect(help).toContain(`  ${key} <`);
    const properties = configJsonSchema().properties as Record<string, { description?: string }>;
    for (const [key, property] of Object.entries(properties)) expect(property.description, key).toBeTruthy();
  });
});

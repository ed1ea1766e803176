import { expect, it } from 'vitest';
import { runConfigSchema } from '../../../src/core/config.js';
import { presets, recommendedPreset } from '../../../src/core/presets.js';

const gib = 2 ** 30;

it.each(presets)('$label is a config', ({ values }) => {
  expect(runConfigSchema.parse({ model_name_or_path: 'm', train_dataset: 'd', ...values })).toMatchObject(values);
});

it.each([
  [1e6, 16, 'tiny'],
  [1.5e9, 80, 'small'],
  [3e9, 80, 'small'],
  // 48 GB of weights, gradients and moments.
  [3e9, 48, 'large-lora'],
  [7e9, 80, 'large-lora'],
  [7e9, 141, 'large-lora'],
  [7e9, 32, 'low-memory'],
  [1.5e9, 8, 'low-memory'],
])('%d parameters in %d GiB begin with %s', (parameters, memory, preset) => {
  expect(recommendedPreset(parameters, memory * gib)).toBe(preset);
});

it('the presets have the figures that their users know', () => {
  const effective = presets.map(({ id, values }) => [
    id,
    values.per_device_train_batch_size,
    values.gradient_accumulation_steps ?? 1,
    values.learning_rate,
    values.use_peft === true ? values.lora_r : null,
  ]);
  expect(effective).toEqual([
    ['tiny', 16, 1, 1e-3, null],
    ['small', 8, 2, 5e-5, null],
    ['large-lora', 2, 8, 2e-4, 16],
    ['low-memory', 1, 16, 2e-4, 8],
  ]);
});

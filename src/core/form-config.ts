/** Between the form's texts and a config: what a person typed, made into values, with what is wrong at its field. */

import { type RunConfigInput, runConfigSchema } from './config.js';
import { configMistakes } from './config-parse.js';
import { type Preset, type PresetKey, presetKeys } from './presets.js';
import {
  evaluationNone,
  evaluationSplit,
  type FormKey,
  type FormProblem,
  type FormValues,
  formKeys,
} from './view/form.js';

/** What the form knows beside its fields. Paths are as the config has them: relative to its folder, or absolute. */
export interface FormContext {
  readonly trainDataset: string;
  readonly outputDir: string | undefined;
}

/** `flag`: true, false, or another word. */
type Kind = 'text' | 'number' | 'flag';

const kinds: Readonly<Record<FormKey, Kind>> = {
  model_name_or_path: 'text',
  use_peft: 'flag',
  loss_on: 'text',
  num_train_epochs: 'number',
  evaluation: 'text',
  test_size: 'number',
  learning_rate: 'number',
  lr_scheduler_type: 'text',
  warmup_ratio: 'number',
  per_device_train_batch_size: 'number',
  gradient_accumulation_steps: 'number',
  max_length: 'number',
  lora_r: 'number',
  lora_alpha: 'number',
  lora_dropout: 'number',
  weight_decay: 'number',
  max_grad_norm: 'number',
  max_train_samples: 'number',
  format: 'text',
  prompt_field: 'text',
  completion_field: 'text',
  system_field: 'text',
  messages_field: 'text',
  on_bad_record: 'text',
  seed: 'number',
  bf16: 'flag',
  gradient_checkpointing: 'flag',
  device: 'text',
  threads: 'number',
  experiment: 'text',
  run_name: 'text',
};

/** Written into every config, though the default be the same: they say what the run is. */
const alwaysWritten: readonly FormKey[] = [
  'model_name_or_path',
  'loss_on',
  'num_train_epochs',
  'learning_rate',
  'per_device_train_batch_size',
];

const sourceKeys: readonly FormKey[] = ['format', 'prompt_field', 'completion_field', 'system_field', 'messages_field'];

const loraKeys: readonly FormKey[] = ['lora_r', 'lora_alpha', 'lora_dropout'];

const standard = runConfigSchema.parse({ model_name_or_path: 'model', train_dataset: 'data' });

/** The texts of a config with nothing but standard. */
export function defaultValues(): FormValues {
  return {
    ...fromStandard(),
    model_name_or_path: '',
    evaluation: evaluationSplit,
    test_size: '0.1',
    format: 'auto',
    experiment: '',
    run_name: '',
  };
}

function fromStandard(): FormValues {
  const known: Readonly<Record<string, unknown>> = standard;
  const entries = formKeys.map((key): [FormKey, string] => [key, textOf(known[key])]);
  // Every key of the form is among the entries.
  return Object.fromEntries(entries) as FormValues;
}

/**
 * The values with those of a preset; what the preset leaves out goes back to its default.
 *
 * @param bf16 whether the device computes in bfloat16
 */
export function withPreset(values: FormValues, preset: Preset, bf16: boolean): FormValues {
  return { ...values, ...presetTexts(preset, bf16) };
}

/** Whether the values are those of the preset. */
export function hasPreset(values: FormValues, preset: Preset, bf16: boolean): boolean {
  const texts = presetTexts(preset, bf16);
  return presetKeys
    .filter((key) => values.use_peft === 'true' || !loraKeys.includes(key))
    .every((key) => sameNumber(values[key], texts[key]));
}

function presetTexts({ values: wanted }: Preset, bf16: boolean): Record<PresetKey, string> {
  const values = { ...wanted, bf16: wanted.bf16 === true && bf16 };
  const entries = presetKeys.map((key): [PresetKey, string] => [key, textOf(values[key] ?? standard[key])]);
  return Object.fromEntries(entries) as Record<PresetKey, string>;
}

/** A number as a person would type it. */
function textOf(value: unknown): string {
  if (typeof value !== 'number') return value === undefined ? '' : String(value);
  const plain = String(value);
  const scientific = value.toExponential();
  return value !== 0 && Math.abs(value) < 0.01 && scientific.length < plain.length ? scientific : plain;
}

function sameNumber(a: string, b: string): boolean {
  return a.trim() === b.trim() || (a.trim() !== '' && Number(a) === Number(b));
}

/** The config that the texts mean, and everything wrong with it. */
export function configOf(
  values: FormValues,
  context: FormContext,
): { config: RunConfigInput; problems: FormProblem[] } {
  const problems: FormProblem[] = [];
  const raw: Record<string, unknown> = {};
  for (const key of formKeys) {
    if (key === 'evaluation' || key === 'test_size' || sourceKeys.includes(key)) continue;
    if (values.use_peft !== 'true' && loraKeys.includes(key)) continue;
    const value = readValue(key, values[key], problems);
    if (value !== undefined) raw[key] = value;
  }
  if (values.evaluation === evaluationSplit) raw.test_size = readValue('test_size', values.test_size, problems) ?? 0;
  else if (values.evaluation !== evaluationNone) raw.eval_dataset = sourceOf(values, values.evaluation);
  if (values.evaluation === evaluationSplit && raw.test_size === 0) {
    problems.push({ field: 'test_size', severity: 'error', message: 'expected more than 0, got 0' });
  }
  raw.train_dataset = sourceOf(values, context.trainDataset);
  if (context.outputDir !== undefined) raw.output_dir = context.outputDir;
  const known = new Set(problems.map(({ field }) => field));
  for (const { path, message, advice } of configMistakes(raw)) {
    const field = fieldOf(path[0]);
    if (field !== undefined && known.has(field)) continue;
    problems.push({
      ...(field === undefined ? {} : { field }),
      severity: 'error',
      message: field === undefined ? `${path.join('.')}: ${message}` : message,
      ...(advice === undefined ? {} : { advice }),
    });
  }
  return { config: shortened(raw), problems };
}

/** A data set with what its records are like, where that is not found by itself. Evaluation files are like the training's. */
function sourceOf(values: FormValues, path: string): unknown {
  const names = ['prompt', 'completion', 'system', 'messages'] as const;
  const fields = names.flatMap((name) => {
    const field = values[`${name}_field`].trim();
    return field === '' ? [] : [[name, field]];
  });
  if (values.format === 'auto' && fields.length === 0) return path;
  return {
    path,
    ...(values.format === 'auto' ? {} : { format: values.format }),
    ...(fields.length === 0 ? {} : { fields: Object.fromEntries(fields) }),
  };
}

/** The form's field for a config key. */
export function fieldOf(key: PropertyKey | undefined): FormKey | undefined {
  if (key === 'eval_dataset') return 'evaluation';
  if (key === 'train_dataset') return 'format';
  return formKeys.find((one) => one === key);
}

function readValue(key: FormKey, text: string, problems: FormProblem[]): unknown {
  const trimmed = text.trim();
  if (trimmed === '') {
    if (kinds[key] === 'number' || key === 'model_name_or_path') {
      problems.push({ field: key, severity: 'error', message: 'missing' });
    }
    return undefined;
  }
  if (kinds[key] === 'flag' && (trimmed === 'true' || trimmed === 'false')) return trimmed === 'true';
  if (kinds[key] !== 'number') return trimmed;
  // A decimal comma is what many people type.
  const number = Number(/^[-+]?\d+,\d+$/.test(trimmed) ? trimmed.replace(',', '.') : trimmed);
  if (Number.isFinite(number)) return number;
  problems.push({ field: key, severity: 'error', message: 'expected a number' });
  return undefined;
}

/** Without keys that have their default, so that a saved file shows what was chosen. */
function shortened(raw: Readonly<Record<string, unknown>>): RunConfigInput {
  const known: Readonly<Record<string, unknown>> = standard;
  const always: readonly string[] = alwaysWritten;
  const kept = Object.entries(raw).filter(([key, value]) => always.includes(key) || known[key] !== value);
  const first = ['model_name_or_path', 'train_dataset', 'eval_dataset', 'test_size'];
  const rank = (key: string): number => (first.indexOf(key) + first.length + 1) % (first.length + 1);
  const sorted = kept.sort(([a], [b]) => rank(a) - rank(b));
  return { model_name_or_path: '', train_dataset: '', ...Object.fromEntries(sorted) };
}

/** What *Start as comparison* compares. */
export const comparisonAxes = { loss_on: ['completion', 'all'], num_train_epochs: [1, 2, 3] } as const;

/** Epochs that the runs of the comparison train together, for one of them. */
export const comparisonEpochs =
  comparisonAxes.loss_on.length * comparisonAxes.num_train_epochs.reduce((sum: number, epochs) => sum + epochs, 0);

/** Starting points for a fine-tune, by the size of the model and the memory of the device. */

import type { RunConfigInput } from './config.js';

export type PresetId = 'tiny' | 'small' | 'large-lora' | 'low-memory';

/** Keys that presets set; a preset that leaves one out means its default, and bf16 is meant where the device has it. */
export const presetKeys = [
  'use_peft',
  'lora_r',
  'lora_alpha',
  'per_device_train_batch_size',
  'gradient_accumulation_steps',
  'learning_rate',
  'lr_scheduler_type',
  'warmup_ratio',
  'num_train_epochs',
  'max_length',
  'bf16',
  'gradient_checkpointing',
] as const;
export type PresetKey = (typeof presetKeys)[number];

export interface Preset {
  readonly id: PresetId;
  readonly label: string;
  /** What it is for, in a few words. */
  readonly detail: string;
  readonly values: Pick<RunConfigInput, PresetKey>;
}

export const presets: readonly Preset[] = [
  {
    id: 'tiny',
    label: 'Tiny model',
    detail: 'Below 100M parameters, the starter model among them: all weights, high learning rate',
    values: {
      per_device_train_batch_size: 16,
      learning_rate: 1e-3,
      lr_scheduler_type: 'cosine',
      warmup_ratio: 0.05,
      num_train_epochs: 3,
    },
  },
  {
    id: 'small',
    label: '1.5–3B',
    detail: 'All weights, 8 sequences × 2',
    values: {
      per_device_train_batch_size: 8,
      gradient_accumulation_steps: 2,
      learning_rate: 5e-5,
      num_train_epochs: 3,
      bf16: true,
    },
  },
  {
    id: 'large-lora',
    label: '7B+ LoRA',
    detail: 'Rank 16, 2 sequences × 8',
    values: {
      use_peft: true,
      lora_r: 16,
      lora_alpha: 32,
      per_device_train_batch_size: 2,
      gradient_accumulation_steps: 8,
      learning_rate: 2e-4,
      num_train_epochs: 3,
      bf16: true,
    },
  },
  {
    id: 'low-memory',
    label: 'Memory-constrained',
    detail: 'LoRA of rank 8, one sequence × 16',
    values: {
      use_peft: true,
      lora_r: 8,
      lora_alpha: 16,
      per_device_train_batch_size: 1,
      gradient_accumulation_steps: 16,
      learning_rate: 2e-4,
      max_length: 1024,
      num_train_epochs: 3,
      bf16: true,
      gradient_checkpointing: true,
    },
  },
];

/** Below this a model is for learning and testing: it wants a learning rate that would ruin a real one. */
const tinyParameters = 100e6;
const largeParameters = 6e9;

/**
 * Bytes that weights, gradients and the optimizer's two moments take in float32, activations apart: what a fine-tune needs
 * at least.
 */
export function leastMemory(parameters: number, method: 'full' | 'lora'): number {
  return parameters * (method === 'full' ? 16 : 4);
}

/**
 * The preset to begin with.
 *
 * @param parameters of the model; undefined where they are not known
 * @param memory bytes that the device has
 */
export function recommendedPreset(parameters: number | undefined, memory: number): PresetId {
  if (parameters === undefined) return 'small';
  if (parameters < tinyParameters) return 'tiny';
  // A quarter is left to activations and to whatever else runs here.
  const fits = leastMemory(parameters, 'full') <= memory * 0.75;
  if (parameters < largeParameters && fits) return 'small';
  return leastMemory(parameters, 'lora') <= memory * 0.5 ? 'large-lora' : 'low-memory';
}

export function presetOf(id: PresetId): Preset {
  const preset = presets.find((one) => one.id === id);
  if (preset === undefined) throw new Error(`no preset ${id}`);
  return preset;
}

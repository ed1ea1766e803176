/**
 * The run config: one schema, from which come the type, the JSON Schema for `*.sft.json` files, the help text and the checks.
 * Keys are Hugging Face's wherever it has one (`TrainingArguments`, TRL's `SFTConfig` and `ModelConfig`).
 */

import * as z from 'zod';

const path = z.string().min(1);
const count = z.number().int().min(0);
const positive = z.number().int().min(1);
const fraction = z.number().min(0).max(1);

const dataSource = z.strictObject({
  path: path.describe(
    'Path of a data set: JSONL, JSON, CSV or TSV (also gzip or zstd), XLSX, Parquet, Arrow, or a folder of `datasets`.',
  ),
  format: z
    .enum(['auto', 'alpaca', 'sharegpt', 'messages', 'custom', 'text'])
    .default('auto')
    .describe('Format of the records; `auto` detects it.'),
  fields: z
    .strictObject({
      prompt: z.string().optional().describe('Field that holds the prompt.'),
      completion: z.string().optional().describe('Field that holds the completion.'),
      system: z.string().optional().describe('Field that holds the system message.'),
      messages: z.string().optional().describe('Field that holds the list of messages.'),
    })
    .optional()
    .describe('Names of the fields, where they are not the usual ones.'),
});

const oneSource = z.union([path, dataSource]);
const sources = z.union([oneSource, z.array(oneSource).min(1)]);
const setName = z.string().regex(/^(?!(path|format|fields)$)[\w.-]+$/, 'a name of letters, digits, `.`, `-` and `_`');

/** The values that one key takes in the runs of a comparison. */
const axis = z.array(z.unknown()).min(1);

export const runConfigSchema = z.strictObject({
  $schema: z.string().optional().describe('The JSON Schema of this file, for editors.'),

  // Model
  model_name_or_path: path.describe(
    'Folder of a Hugging Face model (config.json, safetensors, tokenizer.json), or the name of one in the Hugging Face cache.',
  ),
  initialize_model: z
    .boolean()
    .default(false)
    .describe('Begin with random weights as config.json says, instead of the weights in the folder: pre-training.'),

  // Data
  train_dataset: sources.describe('Training data: a path, {path, format, fields}, or a list of these.'),
  eval_dataset: z
    .union([sources, z.record(setName, sources)])
    .optional()
    .describe('Evaluation data: as train_dataset, or {name: ...} for several sets, each with a curve of its own.'),
  test_size: z
    .number()
    .min(0)
    .default(0)
    .describe('Splits an evaluation set off the training data: below 1 a fraction, from 1 on a number of records.'),
  loss_on: z
    .enum(['completion', 'all'])
    .default('completion')
    .describe('Which tokens are trained on: those of the completions only, or all of the sequence.'),
  max_length: positive.default(1024).describe('Tokens of a sequence; what is longer is cut off, counted and reported.'),
  on_bad_record: z
    .enum(['stop', 'skip'])
    .default('stop')
    .describe('What a malformed record does: stops the start, or is skipped, counted and named.'),
  streaming: z
    .union([z.boolean(), z.literal('auto')])
    .default('auto')
    .describe('Begin training before the file has been read to its end; `auto`: for large files.'),
  shuffle: z.boolean().default(true).describe('Shuffle the training data anew each epoch, by the seed.'),
  shuffle_buffer_size: positive.default(10_000).describe('Records in the shuffle buffer when streaming.'),
  chat_template_path: path.optional().describe("A Jinja chat template that replaces the model's own."),
  prompt_prefix: z.string().default('').describe('Text before the prompt, for models without a chat template.'),
  instruction_response_separator: z
    .string()
    .default('\n\n')
    .describe('Text between prompt and completion, for models without a chat template.'),
  max_train_samples: count.default(0).describe('Trains on the first N records after the seeded shuffle; 0: all.'),
  max_eval_samples: count.default(0).describe('Evaluates on N records of each set; 0: all.'),

  // Length and batches
  num_train_epochs: z.number().positive().default(3).describe('Passes over the training data; may be a fraction.'),
  max_steps: z
    .number()
    .int()
    .min(-1)
    .default(-1)
    .describe('Steps to train for; overrides num_train_epochs when above 0.'),
  per_device_train_batch_size: positive.default(8).describe('Sequences of a microbatch.'),
  per_device_eval_batch_size: positive
    .optional()
    .describe(
      'Sequences evaluated, or answered, at a time. Left out: as memory allows, up to 32 answers, on a GPU 64.',
    ),
  gradient_accumulation_steps: positive
    .default(1)
    .describe('Microbatches of a step. Small ones are computed together, as memory allows: only rounding changes.'),

  // Optimizer
  learning_rate: z.number().min(0).default(5e-5).describe('Peak learning rate.'),
  lr_scheduler_type: z
    .enum(['constant', 'constant_with_warmup', 'linear', 'cosine'])
    .default('linear')
    .describe('How the learning rate goes after warm-up.'),
  warmup_steps: count.default(0).describe('Steps of linear warm-up; goes before warmup_ratio.'),
  warmup_ratio: fraction.default(0).describe('Share of all steps that is linear warm-up.'),
  weight_decay: z.number().min(0).default(0).describe('Decoupled weight decay, on matrices only.'),
  adam_beta1: z.number().min(0).lt(1).default(0.9).describe('Decay of the first moment.'),
  adam_beta2: z.number().min(0).lt(1).default(0.999).describe('Decay of the second moment.'),
  adam_epsilon: z.number().positive().default(1e-8).describe('Added to the denominator of the update.'),
  max_grad_norm: z.number().min(0).default(1).describe('Global norm the gradient is clipped to; 0: off.'),
  seed: count.default(42).describe('Seed of the shuffles, the split, adapters, dropout and sampling.'),

  // Adapter
  use_peft: z.boolean().default(false).describe('Train a LoRA adapter instead of all weights.'),
  lora_r: positive.default(16).describe('Rank of the adapter.'),
  lora_alpha: z.number().positive().default(32).describe('Scale of the adapter: it counts alpha / r.'),
  lora_dropout: z.number().min(0).lt(1).default(0.05).describe("Dropout of the adapter's input."),
  lora_target_modules: z
    .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
    .default('all-linear')
    .describe(
      'Modules that get an adapter: q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj, or all-linear.',
    ),

  // Logging, evaluation, checkpoints
  logging_steps: positive.default(1).describe('Steps between two points of the training curves.'),
  prompt_loss_steps: count
    .default(1)
    .describe('Completion-only runs measure the loss of the prompt tokens too, every N steps; 0: never.'),
  eval_strategy: z
    .enum(['no', 'steps', 'epoch'])
    .optional()
    .describe('When to evaluate. Left out: every eval_steps if given, else at the end of each epoch.'),
  eval_steps: positive.optional().describe('Steps between evaluations.'),
  eval_on_start: z.boolean().default(false).describe('Evaluate before the first step too.'),
  save_strategy: z
    .enum(['no', 'steps', 'epoch'])
    .optional()
    .describe(
      'When to save a checkpoint; the last one is always saved. Left out: every save_steps if given, else each epoch.',
    ),
  save_steps: positive.optional().describe('Steps between checkpoints.'),
  save_total_limit: positive.optional().describe('Keep this many checkpoints, the newest. Left out: all.'),

  // Answers
  verifier: z
    .enum(['auto', 'label', 'number', 'exact', 'none'])
    .default('auto')
    .describe(
      'Decides whether an answer is right: by the set of labels, by its last number (or `#### number`), or by equal text.',
    ),
  score_correct: z.number().default(2).describe('Score of a right answer.'),
  score_wrong: z.number().default(-1).describe('Score of a wrong or unparsable answer.'),
  eval_generate_samples: count
    .default(256)
    .describe('Records of each evaluation set that the model answers, spread evenly over the set; 0: all.'),
  eval_max_new_tokens: positive
    .optional()
    .describe(
      'Longest answer in tokens. Left out: the longest completion of the evaluation set and a margin, 512 at most.',
    ),
  num_sample_generations: count
    .default(4)
    .describe('Answers shown as samples at each evaluation, with their entropies.'),
  temperature: z.number().min(0).default(0).describe('Temperature of evaluation answers; 0: the most likely token.'),

  // Machine
  bf16: z
    .boolean()
    .default(false)
    .describe('Matrix products in bfloat16; weights, sums and the optimizer stay in float32. CPUs need AVX512-BF16.'),
  bf16_moments: z
    .boolean()
    .default(false)
    .describe("AdamW's moments in bfloat16 with stochastic rounding: half their memory."),
  gradient_checkpointing: z
    .union([z.boolean(), z.literal('auto')])
    .default('auto')
    .describe('Compute activations again in the backward pass: less memory, slower; `auto`: where memory is short.'),
  device: z
    .string()
    .regex(/^(auto|cpu|cuda(:\d+)?)$/, '`auto`, `cpu` or `cuda:0`')
    .default('auto')
    .describe('`auto`, `cpu` or `cuda:0`; `sft-lab devices` lists them.'),
  threads: count.default(0).describe('Threads of the CPU; 0: one for each core.'),

  // Where it goes
  output_dir: path.default('.sft').describe('Folder of all experiments.'),
  experiment: z
    .string()
    .regex(/^[\w][\w .-]*$/, 'letters, digits, spaces, `.`, `-` and `_`')
    .optional()
    .describe('Experiment the run belongs to. Left out: the name of the config file.'),
  run_name: z
    .string()
    .regex(/^[\w][\w .-]*$/, 'letters, digits, spaces, `.`, `-` and `_`')
    .optional()
    .describe('Name of the run; a number is added where it is taken.'),
  compare: z
    .record(z.string(), axis)
    .optional()
    .describe('Axes of a comparison, {key: [values]}: `sft-lab compare` trains every combination.'),
});

/** A config as written in a file, with defaults filled in. */
export type RunConfig = z.output<typeof runConfigSchema>;
export type RunConfigInput = z.input<typeof runConfigSchema>;
export type ConfigKey = keyof RunConfig;

export type ConfigDataSource = z.output<typeof dataSource>;

/** A config ready to run: absolute paths, data sources written out, one run (no axes). */
export interface ResolvedConfig extends Omit<RunConfig, '$schema' | 'train_dataset' | 'eval_dataset' | 'compare'> {
  readonly train_dataset: ConfigDataSource[];
  readonly eval_dataset: Record<string, ConfigDataSource[]>;
  readonly eval_strategy: 'no' | 'steps' | 'epoch';
  readonly save_strategy: 'no' | 'steps' | 'epoch';
}

export const configKeys: readonly string[] = Object.keys(runConfigSchema.shape);

/** Whether the runs of a comparison may differ in this key. */
export function isAxis(key: string): boolean {
  return configKeys.includes(key) && !['$schema', 'compare', 'output_dir', 'experiment', 'run_name'].includes(key);
}

/** The JSON Schema that gives `*.sft.json` files completion and validation in editors. */
export function configJsonSchema(): Record<string, unknown> {
  const { properties = {}, ...schema } = z.toJSONSchema(runConfigSchema, { io: 'input' });
  const { compare } = properties;
  // An axis takes what its key takes: editors complete and check the values.
  const axes = Object.entries(properties)
    .filter(([key]) => isAxis(key))
    .map(([key]) => [key, { type: 'array', minItems: 1, items: { $ref: `#/properties/${key}` } }]);
  return {
    title: 'SFT Lab run config',
    ...schema,
    properties: { ...properties, compare: { ...Object(compare), properties: Object.fromEntries(axes) } },
  };
}

/** One line a key, for `--help`: name, allowed values or type, default, description. */
export function describeConfig(): string[] {
  const properties = z.toJSONSchema(runConfigSchema, { io: 'input' }).properties ?? {};
  const lines: string[] = [];
  for (const [key, property] of Object.entries(properties)) {
    if (key === '$schema' || typeof property === 'boolean') continue;
    const kind =
      property.enum !== undefined
        ? property.enum.join('|')
        : typeof property.type === 'string'
          ? property.type
          : 'value';
    const standard = property.default === undefined ? '' : ` [${JSON.stringify(property.default)}]`;
    lines.push(`  ${key} <${kind}>${standard}\n      ${property.description ?? ''}`);
  }
  return lines;
}

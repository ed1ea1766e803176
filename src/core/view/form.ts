/** The wire between the Fine-tune form and the extension. Values travel as a person typed them: text. */

import * as z from 'zod';

/**
 * Fields of the form: config keys, `evaluation`, which stands for `eval_dataset` and `test_size` together, and the `format` and
 * `fields` of the data sets.
 */
export const formKeys = [
  'model_name_or_path',
  'use_peft',
  'loss_on',
  'num_train_epochs',
  'evaluation',
  'test_size',
  'learning_rate',
  'lr_scheduler_type',
  'warmup_ratio',
  'per_device_train_batch_size',
  'gradient_accumulation_steps',
  'max_length',
  'lora_r',
  'lora_alpha',
  'lora_dropout',
  'weight_decay',
  'max_grad_norm',
  'max_train_samples',
  'format',
  'prompt_field',
  'completion_field',
  'system_field',
  'messages_field',
  'on_bad_record',
  'seed',
  'bf16',
  'gradient_checkpointing',
  'device',
  'threads',
  'experiment',
  'run_name',
] as const;
export type FormKey = (typeof formKeys)[number];

const formKey = z.enum(formKeys);
export const formValues = z.record(formKey, z.string().max(4096));
export type FormValues = z.infer<typeof formValues>;

/** `evaluation` is one of these or the path of a file. */
export const evaluationSplit = '(split)';
export const evaluationNone = '(none)';

const choice = z.object({ value: z.string(), label: z.string(), detail: z.string() });
export type Choice = z.infer<typeof choice>;

const problem = z.object({
  /** Undefined: of the form as a whole. */
  field: formKey.optional(),
  severity: z.enum(['error', 'warning']),
  message: z.string(),
  advice: z.string().optional(),
});
export type FormProblem = z.infer<typeof problem>;

/** Where in a data set something is wrong. */
const place = z.object({ file: z.string(), name: z.string(), line: z.number(), message: z.string() });
const dataProblem = z.object({
  severity: z.enum(['error', 'warning']),
  message: z.string(),
  count: z.number(),
  places: z.array(place),
  /** Records that may also be left out. */
  mayBeSkipped: z.boolean(),
});

const example = z.object({
  line: z.number(),
  /** Tokens of the whole example, and how many of them are trained on. */
  tokens: z.number(),
  trained: z.number(),
  truncated: z.number(),
  /** The first tokens, each with its id and whether it is trained on. */
  shown: z.array(z.object({ id: z.number(), text: z.string(), trained: z.boolean() })),
});
export type FormExample = z.infer<typeof example>;

const data = z.discriminatedUnion('status', [
  z.object({ status: z.literal('reading') }),
  z.object({
    status: z.literal('failed'),
    message: z.string(),
    advice: z.string().optional(),
    place: place.optional(),
    /** Those that could be made all the same. */
    examples: z.array(example),
  }),
  z.object({
    status: z.literal('read'),
    /** False: an estimate from the first records, and the rest is being read. */
    whole: z.boolean(),
    exact: z.boolean(),
    formats: z.array(z.string()),
    /** What the mask follows. */
    maskSource: z.enum(['generation', 'turns', 'separators', 'text']),
    records: z.number(),
    tokens: z.number(),
    lossTokens: z.number(),
    truncatedRecords: z.number(),
    skippedRecords: z.number(),
    evaluationRecords: z.number(),
    problems: z.array(dataProblem),
    examples: z.array(example),
  }),
]);
export type FormData = z.infer<typeof data>;

const cost = z.discriminatedUnion('status', [
  /** The data or the values have to be right first. */
  z.object({ status: z.literal('waiting') }),
  z.object({ status: z.literal('off') }),
  z.object({ status: z.literal('measuring') }),
  z.object({ status: z.literal('failed'), message: z.string(), advice: z.string().optional() }),
  z.object({
    status: z.literal('measured'),
    device: z.string(),
    deviceMemory: z.number(),
    /** Bytes, the most that a process training this has. */
    memory: z.number(),
    tokensPerSecond: z.number(),
    parameters: z.number(),
    trainableParameters: z.number(),
    trainSeconds: z.number(),
    evaluationSeconds: z.number(),
    /** Of the comparison: all its runs. */
    comparisonSeconds: z.number(),
    /** Another run trained at the same time. */
    disturbed: z.boolean(),
  }),
]);
export type FormCost = z.infer<typeof cost>;

const plan = z.object({
  steps: z.number(),
  stepsPerEpoch: z.number(),
  epochs: z.number(),
  tokens: z.number(),
  lossTokens: z.number(),
  exact: z.boolean(),
});
export type FormPlan = z.infer<typeof plan>;

const activity = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('idle') }),
  z.object({ kind: z.literal('starting'), what: z.enum(['run', 'comparison']) }),
  z.object({ kind: z.literal('started'), what: z.enum(['run', 'comparison']), folder: z.string(), name: z.string() }),
  z.object({ kind: z.literal('failed'), message: z.string() }),
  z.object({ kind: z.literal('saved'), name: z.string() }),
]);
export type FormActivity = z.infer<typeof activity>;

export const toForm = z.object({
  type: z.literal('state'),
  dataSet: z.object({ uri: z.string(), name: z.string(), folder: z.string(), bytes: z.number() }),
  values: formValues,
  models: z.array(choice),
  evaluations: z.array(choice),
  devices: z.array(choice),
  presets: z.array(z.object({ id: z.string(), label: z.string(), detail: z.string(), recommended: z.boolean() })),
  /** The preset that the values are those of. */
  preset: z.string().nullable(),
  problems: z.array(problem),
  data,
  plan: plan.nullable(),
  cost,
  activity,
});
export type FormState = z.infer<typeof toForm>;

export const fromForm = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ready') }),
  z.object({ type: z.literal('set'), key: formKey, value: z.string().max(4096) }),
  z.object({ type: z.literal('preset'), id: z.string() }),
  z.object({ type: z.literal('pickModel') }),
  z.object({ type: z.literal('pickEvaluation') }),
  z.object({ type: z.literal('measure') }),
  z.object({ type: z.literal('start'), compare: z.boolean() }),
  z.object({ type: z.literal('save') }),
  z.object({ type: z.literal('openRun') }),
  /** All records, in the previewer. */
  z.object({ type: z.literal('preview') }),
  z.object({ type: z.literal('reveal'), file: z.string(), line: z.number() }),
]);
export type FromForm = z.infer<typeof fromForm>;

/** What the page keeps, and the extension opens the form with again after a reload. */
export const formPageState = z.object({
  uri: z.string(),
  values: formValues.nullable(),
  more: z.boolean(),
});
export type FormPageState = z.infer<typeof formPageState>;

/** What a config asks of its data: the same for the trainer and for every preview. */

import type { ResolvedConfig } from '../core/config.js';
import { maxPositionsOf } from './models.js';
import type { DataSource, TrainingDataOptions } from './types.js';

/** @param chatTemplate text of the template that replaces the model's own */
export async function dataOptionsOf(
  config: ResolvedConfig,
  chatTemplate: string | undefined,
): Promise<TrainingDataOptions> {
  // A sequence longer than the model's context could not be trained on; it is cut and counted like any that is too long.
  const positions = (await maxPositionsOf(config.model_name_or_path)) ?? config.max_length;
  return {
    modelDirectory: config.model_name_or_path,
    ...(chatTemplate === undefined ? {} : { chatTemplate }),
    promptPrefix: config.prompt_prefix,
    instructionResponseSeparator: config.instruction_response_separator,
    train: config.train_dataset.map(sourceOf),
    evaluation: Object.fromEntries(
      Object.entries(config.eval_dataset).map(([name, sources]) => [name, sources.map(sourceOf)]),
    ),
    testSize: config.test_size,
    lossOn: config.loss_on,
    maxLength: Math.min(config.max_length, positions),
    onBadRecord: config.on_bad_record,
    streaming: config.streaming,
    shuffle: config.shuffle,
    shuffleBufferSize: config.shuffle_buffer_size,
    seed: config.seed,
    maxTrainSamples: config.max_train_samples,
    maxEvalSamples: config.max_eval_samples,
  };
}

function sourceOf({ path, format, fields }: ResolvedConfig['train_dataset'][number]): DataSource {
  if (fields === undefined) return { path, format };
  const { prompt, completion, system, messages } = fields;
  return {
    path,
    format,
    fields: {
      ...(prompt === undefined ? {} : { prompt }),
      ...(completion === undefined ? {} : { completion }),
      ...(system === undefined ? {} : { system }),
      ...(messages === undefined ? {} : { messages }),
    },
  };
}

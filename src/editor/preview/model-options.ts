/** What a run without further options would make of a model's tokenizer and template. */

import { runConfigSchema } from '../../core/config.js';
import type { TemplateOptions } from '../../data/types.js';

const standard = runConfigSchema.parse({ model_name_or_path: 'model', train_dataset: 'data' });

/** A model's tokenizer and template, as a run without further options would use them. */
export function templateOptions(modelDirectory: string, chatTemplate: string | undefined): TemplateOptions {
  return {
    modelDirectory,
    ...(chatTemplate === undefined ? {} : { chatTemplate }),
    promptPrefix: standard.prompt_prefix,
    instructionResponseSeparator: standard.instruction_response_separator,
  };
}

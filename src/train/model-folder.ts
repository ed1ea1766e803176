/** Model folders: an adapter's base, and what of them goes into every checkpoint. */

import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { LabError } from '../core/errors.js';
import { findModel, maxPositionsOf } from '../data/models.js';
import { exists } from '../runs/run-folder.js';

export { findModel, maxPositionsOf };

const adapterConfigSchema = z.looseObject({ base_model_name_or_path: z.string() });

/** A model folder, or an adapter's folder with its base: what `openModel` and the tokenizer need. */
export interface ModelFolders {
  /** The folder with config.json and weights. */
  readonly base: string;
  readonly adapter: string | undefined;
  /** The folder whose tokenizer and template are used. */
  readonly tokenizer: string;
}

export async function foldersOf(directory: string): Promise<ModelFolders> {
  const file = join(directory, 'adapter_config.json');
  if (!(await exists(file))) return { base: directory, adapter: undefined, tokenizer: directory };
  const parsed = adapterConfigSchema.safeParse(parseJson(await readFile(file, 'utf8'), file));
  if (!parsed.success) {
    throw new LabError("expected the base model's folder", { place: { file, field: 'base_model_name_or_path' } });
  }
  const base = await findModel(parsed.data.base_model_name_or_path, directory);
  const tokenizer = (await exists(join(directory, 'tokenizer.json'))) ? directory : base;
  return { base, adapter: directory, tokenizer };
}

/** Whether a model's weights are bfloat16, by its config. */
export async function isStoredInBf16(base: string): Promise<boolean> {
  const file = join(base, 'config.json');
  const config = parseJson(await readFile(file, 'utf8'), file);
  const parsed = z.looseObject({ dtype: z.unknown(), torch_dtype: z.unknown() }).safeParse(config);
  return parsed.success && (parsed.data.dtype ?? parsed.data.torch_dtype) === 'bfloat16';
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new LabError('not valid JSON', { place: { file }, cause: error });
  }
}

const tokenizerFiles = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.json',
  'merges.txt',
  'tokenizer.model',
  'chat_template.jinja',
];

/**
 * Copies what makes a checkpoint a folder that others load: tokenizer, template and, for full models, the config.
 *
 * @param options.template replaces the model's chat template
 */
export async function copyModelFiles(
  from: string,
  to: string,
  options: { adapter: boolean; template: string | undefined },
): Promise<void> {
  const present = new Set(await readdir(from));
  const copied = options.adapter ? tokenizerFiles : [...tokenizerFiles, 'generation_config.json'];
  for (const name of copied) {
    // Through links: the Hugging Face cache keeps files elsewhere.
    if (present.has(name)) await copyFile(join(from, name), join(to, name));
  }
  if (options.template !== undefined) await writeFile(join(to, 'chat_template.jinja'), options.template);
  if (options.adapter) return;
  const file = join(from, 'config.json');
  const config = parseJson(await readFile(file, 'utf8'), file);
  if (typeof config !== 'object' || config === null) throw new LabError('not an object', { place: { file } });
  // Weights are written as float32; a config that says otherwise would make loaders round them.
  const dtype = 'torch_dtype' in config ? 'torch_dtype' : 'dtype';
  await writeFile(join(to, 'config.json'), `${JSON.stringify({ ...config, [dtype]: 'float32' }, null, 2)}\n`);
}

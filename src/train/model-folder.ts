/** Model folders: found by path or in the Hugging Face cache, and what of them goes into every checkpoint. */

import { copyFile, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { z } from 'zod';
import { LabError } from '../core/errors.js';
import { exists } from '../runs/run-folder.js';

/**
 * The folder that `model_name_or_path` means: a path (relative to `base`), or `owner/name` in the Hugging Face cache.
 *
 * @throws LabError where it is neither, or no model's folder
 */
export async function findModel(nameOrPath: string, base: string): Promise<string> {
  const path = isAbsolute(nameOrPath) ? nameOrPath : resolve(base, nameOrPath);
  const found = (await isFolder(path)) ? path : await findInCache(nameOrPath);
  const place = { field: 'model_name_or_path' };
  if (found === undefined) {
    throw new LabError(`no model at ${nameOrPath}`, {
      place,
      advice: /^[\w.-]+\/[\w.-]+$/.test(nameOrPath)
        ? `Looked for the folder ${path} and in the Hugging Face cache. Download it first, for instance with \`hf download ${nameOrPath}\`.`
        : `Looked for the folder ${path}.`,
    });
  }
  if (!(await exists(join(found, 'config.json'))) && !(await exists(join(found, 'adapter_config.json')))) {
    throw new LabError('not a model: the folder has no config.json', { place: { ...place, file: found } });
  }
  return found;
}

async function findInCache(name: string): Promise<string | undefined> {
  if (!/^[\w.-]+\/[\w.-]+$/.test(name)) return undefined;
  const home = process.env.HF_HOME ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'huggingface');
  const hub = process.env.HF_HUB_CACHE ?? join(home, 'hub');
  const repository = join(hub, `models--${name.replace('/', '--')}`);
  const revision = await readFile(join(repository, 'refs', 'main'), 'utf8').catch(() => undefined);
  const snapshots = join(repository, 'snapshots');
  const names = revision === undefined ? await readdir(snapshots).catch(() => []) : [revision.trim()];
  for (const snapshot of names) {
    const folder = join(snapshots, snapshot);
    if (await isFolder(folder)) return folder;
  }
  return undefined;
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

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

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new LabError('not valid JSON', { place: { file }, cause: error });
  }
}

const positionsSchema = z.looseObject({ max_position_embeddings: z.number().int().positive() });

/** Longest sequence the model can take, as its config.json says; undefined where it does not (the engine will say what is wrong). */
export async function maxPositionsOf(directory: string): Promise<number | undefined> {
  const file = join(directory, 'config.json');
  const parsed = positionsSchema.safeParse(parseJson(await readFile(file, 'utf8'), file));
  return parsed.success ? parsed.data.max_position_embeddings : undefined;
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

/** From the name of a config file to a run that is ready to be made. */

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, isAbsolute, relative, resolve } from 'node:path';
import { text as readAll } from 'node:stream/consumers';
import type { ResolvedConfig, RunConfig } from '../core/config.js';
import { type Override, parseConfig, resolveConfig } from '../core/config-parse.js';
import { LabError } from '../core/errors.js';
import { experimentNameOf } from '../core/experiment.js';
import { readError } from '../runs/files.js';
import { findModel } from '../train/model-folder.js';

export interface LoadedConfig {
  readonly file: string;
  /** Folder that relative paths stand in. */
  readonly directory: string;
  readonly config: RunConfig;
}

const pathKeys = ['model_name_or_path', 'train_dataset', 'eval_dataset', 'chat_template_path', 'output_dir'];

/** @throws LabError naming file, line and key */
export async function loadConfig(file: string, sets: readonly string[]): Promise<LoadedConfig> {
  const absolute = resolve(file);
  let text: string;
  try {
    text = await readFile(absolute, 'utf8');
  } catch (error) {
    throw readError(error, file);
  }
  return configOf(text, absolute, file, sets);
}

/** A config that stands in no file, from standard input; relative paths in it stand in the working folder. */
export async function readConfig(stream: NodeJS.ReadableStream, sets: readonly string[]): Promise<LoadedConfig> {
  return configOf(await readAll(stream), resolve('config.sft.json'), 'standard input', sets);
}

function configOf(text: string, absolute: string, file: string, sets: readonly string[]): LoadedConfig {
  const directory = dirname(absolute);
  const overrides = sets.map((set) => parseSet(set, directory));
  return { file: absolute, directory, config: parseConfig(text, file, overrides) };
}

/** Paths given on the command line stand in the working folder; in the file they stand beside the file. */
function parseSet(set: string, directory: string): Override {
  const at = set.indexOf('=');
  if (at <= 0) {
    throw new LabError(`expected key=value, got "${set}"`, {
      place: { file: '--set' },
      advice: 'For instance: --set num_train_epochs=2',
    });
  }
  const key = set.slice(0, at).trim();
  const value = set.slice(at + 1);
  const isPath = pathKeys.includes(key) || key.endsWith('.path') || /^eval_dataset\.[^.]+$/.test(key);
  // A model may also be a name in the Hugging Face cache, and data sets may be given as JSON.
  const named = key === 'model_name_or_path' && !existsSync(value);
  const plain = isPath && !/^[[{]/.test(value) && !isAbsolute(value) && !named;
  return { key, value: plain ? relative(directory, resolve(value)) || '.' : value };
}

/** The name an experiment has unless the config gives one: that of the file. */
export function experimentName(file: string): string {
  return experimentNameOf(basename(file).replace(/(\.sft)?\.json$/i, ''));
}

/** Absolute paths, model found. */
export async function readyConfig(loaded: LoadedConfig, config: RunConfig = loaded.config): Promise<ResolvedConfig> {
  const resolved = resolveConfig(config, loaded.directory, experimentName(loaded.file));
  return { ...resolved, model_name_or_path: await findModel(config.model_name_or_path, loaded.directory) };
}

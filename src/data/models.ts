/**
 * The models of this machine: the starter model that is part of SFT Lab, folders, and the Hugging Face cache, whose layout is
 * `models--<owner>--<name>/{refs/main, snapshots/<revision>/}`. Weights are never read here, only what stands before them.
 */

import { type Dirent, existsSync } from 'node:fs';
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';
import { LabError } from '../core/errors.js';

/** The name that `model_name_or_path` gives the starter model by, wherever SFT Lab is installed. */
export const starterName = 'sft-lab/starter';

/**
 * The folder that `model_name_or_path` means: a path (relative to `base`), the starter model, or `owner/name` in the Hugging
 * Face cache.
 *
 * @throws LabError where it is none of these, or no model's folder
 */
export async function findModel(nameOrPath: string, base: string): Promise<string> {
  const path = isAbsolute(nameOrPath) ? nameOrPath : resolve(base, nameOrPath);
  const found = (await isFolder(path))
    ? path
    : nameOrPath === starterName
      ? starterFolder()
      : await findInCache(nameOrPath);
  const place = { field: 'model_name_or_path' };
  if (found === undefined) {
    throw new LabError(`no model at ${nameOrPath}`, {
      place,
      advice: hubName.test(nameOrPath)
        ? `Looked for the folder ${path} and in the Hugging Face cache. Download it first, for instance with \`hf download ${nameOrPath}\`.`
        : `Looked for the folder ${path}.`,
    });
  }
  if (!existsSync(join(found, 'config.json')) && !existsSync(join(found, 'adapter_config.json'))) {
    throw new LabError('not a model: the folder has no config.json', { place: { ...place, file: found } });
  }
  return found;
}

const hubName = /^[\w.-]+\/[\w.-]+$/;

/** Looks upwards from this file, so that it is found from the sources and from the bundle alike. */
function starterFolder(): string | undefined {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const candidate = join(folder, 'media', 'starter-model');
    if (existsSync(join(candidate, 'config.json'))) return candidate;
    const parent = dirname(folder);
    if (parent === folder) return undefined;
    folder = parent;
  }
}

/** The folder that Hugging Face's libraries download to, by their own environment variables. */
export function hubCache(env: Readonly<Record<string, string | undefined>> = process.env): string {
  const home = env.HF_HOME ?? join(env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'huggingface');
  return env.HF_HUB_CACHE ?? env.HUGGINGFACE_HUB_CACHE ?? join(home, 'hub');
}

async function findInCache(name: string): Promise<string | undefined> {
  return hubName.test(name) ? snapshotOf(join(hubCache(), `models--${name.replace('/', '--')}`)) : undefined;
}

/** The revision that `main` stands for, else any that is there. */
async function snapshotOf(repository: string): Promise<string | undefined> {
  const revision = await readFile(join(repository, 'refs', 'main'), 'utf8').catch(() => undefined);
  const snapshots = join(repository, 'snapshots');
  const names = revision === undefined ? await readdir(snapshots).catch(() => []) : [revision.trim()];
  for (const snapshot of names) {
    const folder = join(snapshots, snapshot);
    if (await isFolder(folder)) return folder;
  }
  return undefined;
}

/** A model that could be trained here. */
export interface FoundModel {
  /** As `model_name_or_path` gives it. */
  readonly name: string;
  readonly folder: string;
  readonly origin: 'starter' | 'folder' | 'cache';
  /** As in `config.json`, for instance `Qwen3ForCausalLM`. */
  readonly architecture: string | undefined;
  /** Counted from the headers of the weights; undefined where there are none to be read. */
  readonly parameters: number | undefined;
  readonly maxPositions: number | undefined;
  /** Why it cannot be trained as it is. */
  readonly problem: string | undefined;
}

/** The starter model and those of the Hugging Face cache that have a tokenizer and weights, by name. */
export async function installedModels(): Promise<FoundModel[]> {
  const starter = starterFolder();
  const models = starter === undefined ? [] : [await describeModel(starter, starterName, 'starter')];
  const entries = await readdir(hubCache(), { withFileTypes: true }).catch((): Dirent[] => []);
  const cached = await Promise.all(
    entries.map(async (entry) => {
      const name = /^models--(.+?)--(.+)$/.exec(entry.name);
      const folder = name === null || !entry.isDirectory() ? undefined : await snapshotOf(join(hubCache(), entry.name));
      return folder === undefined || !existsSync(join(folder, 'config.json'))
        ? undefined
        : describeModel(folder, `${name?.[1]}/${name?.[2]}`, 'cache');
    }),
  );
  // Encoders, image models and half-finished downloads lie in the cache too.
  const usable = cached.filter((model) => model !== undefined).filter(({ problem }) => problem === undefined);
  return [...models, ...usable.sort((a, b) => a.name.localeCompare(b.name))];
}

const configSchema = z.looseObject({
  architectures: z.array(z.string()).optional(),
  max_position_embeddings: z.number().int().positive().optional(),
});

/** What stands in a model's folder. Never fails: what is wrong is the model's `problem`. */
export async function describeModel(
  folder: string,
  name: string = folder,
  origin: FoundModel['origin'] = 'folder',
): Promise<FoundModel> {
  const config = configSchema.safeParse(await readSmallJson(join(folder, 'config.json')));
  const architecture = config.success ? config.data.architectures?.[0] : undefined;
  let parameters: number | undefined;
  let problem: string | undefined;
  try {
    parameters = await countParameters(folder);
  } catch (error) {
    problem = error instanceof LabError ? error.message : 'its weights cannot be read';
  }
  if (!config.success) problem = 'it has no readable config.json';
  else if (architecture === undefined || !/ForCausalLM$/.test(architecture)) {
    problem = `${architecture ?? 'it'} is no language model that answers`;
  } else if (!existsSync(join(folder, 'tokenizer.json'))) problem = 'it has no tokenizer.json';
  const maxPositions = config.success ? config.data.max_position_embeddings : undefined;
  return { name, folder, origin, architecture, parameters, maxPositions, problem };
}

const positionsSchema = z.looseObject({ max_position_embeddings: z.number().int().positive() });

/** Longest sequence the model can take, as its config.json says; undefined where it does not (the engine will say what is wrong). */
export async function maxPositionsOf(directory: string): Promise<number | undefined> {
  const file = join(directory, 'config.json');
  let value: unknown;
  try {
    value = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new LabError('not valid JSON', { place: { file }, cause: error });
  }
  const parsed = positionsSchema.safeParse(value);
  return parsed.success ? parsed.data.max_position_embeddings : undefined;
}

const tensorSchema = z.looseObject({ shape: z.array(z.number().int().min(0)) });
const mostHeaderBytes = 100 * 1024 * 1024;

/** Elements of all tensors, from the headers of a model's safetensors files. @throws LabError where there are none */
async function countParameters(folder: string): Promise<number> {
  const names = (await readdir(folder)).filter((name) => /^model.*\.safetensors$/.test(name));
  if (names.length === 0) throw new LabError('it has no weights as safetensors', { place: { file: folder } });
  let count = 0;
  for (const name of names) {
    const header = z.record(z.string(), z.unknown()).safeParse(await readHeader(join(folder, name)));
    if (!header.success) throw new LabError(`the header of ${name} is damaged`, { place: { file: folder } });
    for (const [tensor, entry] of Object.entries(header.data)) {
      const parsed = tensorSchema.safeParse(entry);
      if (tensor !== '__metadata__' && parsed.success) count += parsed.data.shape.reduce((a, b) => a * b, 1);
    }
  }
  return count;
}

/** A safetensors file begins with the length of its JSON header, a 64-bit number. */
async function readHeader(file: string): Promise<unknown> {
  const handle = await open(file, 'r');
  try {
    const length = Buffer.alloc(8);
    const { bytesRead } = await handle.read(length, 0, 8, 0);
    const bytes = bytesRead < 8 ? 0 : Number(length.readBigUInt64LE());
    if (bytes === 0 || bytes > mostHeaderBytes || bytes > (await handle.stat()).size) return undefined;
    const header = Buffer.alloc(bytes);
    await handle.read(header, 0, bytes, 8);
    return JSON.parse(header.toString('utf8'));
  } catch {
    return undefined;
  } finally {
    await handle.close();
  }
}

async function readSmallJson(file: string): Promise<unknown> {
  try {
    return (await stat(file)).size > 1 << 20 ? undefined : JSON.parse(await readFile(file, 'utf8'));
  } catch {
    return undefined;
  }
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

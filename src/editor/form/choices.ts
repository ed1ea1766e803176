/** What the form offers: models of this machine, evaluation files beside the data set, devices. */

import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { basename, dirname, isAbsolute, join, relative, sep } from 'node:path';
import { promisify } from 'node:util';
import * as z from 'zod';
import { computesInBf16 } from '../../core/features.js';
import { portablePath } from '../../core/paths.js';
import { formatBytes, formatCount } from '../../core/units.js';
import { type Choice, evaluationNone, evaluationSplit } from '../../core/view/form.js';
import { visibleText } from '../../core/view/visible.js';
import { describeModel, type FoundModel, installedModels } from '../../data/models.js';
import type { MeasurerOptions } from './measurer.js';

/** Files that `src/data` reads, by the end of their names. */
export const dataSetFile =
  /((?<!\.sft)\.json|\.jsonl|\.ndjson|\.csv|\.tsv|\.tab)(\.(gz|gzip|zst|zstd))?$|\.(xlsx|parquet|arrow)$/i;
export const dataSetEndings = ['jsonl', 'json', 'ndjson', 'csv', 'tsv', 'xlsx', 'parquet', 'arrow', 'gz', 'zst'];

/** Name of a data set without what its format adds. */
export function stemOf(file: string): string {
  return basename(file).replace(dataSetFile, '');
}

/** A path as a config in `folder` gives it: relative while it stays inside `root`, else absolute. */
export function configPath(path: string, folder: string, root: string | undefined): string {
  const inside = root !== undefined && (path === root || path.startsWith(root + sep));
  if (!inside) return path;
  return portablePath(relative(folder, path)) || '.';
}

/** The starter, the Hugging Face cache, then the folders given. */
export async function modelChoices(
  folders: readonly string[],
  pathOf: (folder: string) => string,
): Promise<{ models: FoundModel[]; choices: Choice[] }> {
  const found = await Promise.all(folders.map((folder) => describeModel(folder, pathOf(folder))));
  const models = [...(await installedModels()), ...found.filter(({ problem }) => problem === undefined)];
  return { models, choices: models.map(modelChoice) };
}

export function modelChoice({ name, origin, parameters, architecture }: FoundModel): Choice {
  const size = parameters === undefined ? '' : ` · ${formatCount(parameters)}`;
  const where = { starter: 'comes with SFT Lab', folder: 'folder', cache: 'Hugging Face cache' }[origin];
  const shown = origin === 'starter' ? 'Starter model' : visibleText(name);
  const kind = architecture?.replace(/ForCausalLM$/, '');
  return {
    value: name,
    label: `${shown}${size}`,
    detail: [kind === undefined ? undefined : visibleText(kind), where].filter((part) => part !== undefined).join(', '),
  };
}

const mostFiles = 50;

/** Splitting off, each data set file in the same folder, and none; the value to begin with first. */
export async function evaluationChoices(file: string): Promise<{ first: string; choices: Choice[] }> {
  const names = await readdir(dirname(file)).catch(() => []);
  const others = names.filter((name) => dataSetFile.test(name) && name !== basename(file)).slice(0, mostFiles);
  const sister = sisterOf(basename(file), others);
  const sorted = others.sort((a, b) => Number(b === sister) - Number(a === sister) || a.localeCompare(b));
  return {
    first: sister ?? evaluationSplit,
    choices: [
      { value: evaluationSplit, label: 'Split off from this file', detail: 'Equal prompts stay on one side' },
      ...sorted.map((name) => ({ value: name, label: visibleText(name), detail: 'File beside the data set' })),
      { value: evaluationNone, label: 'None', detail: 'No accuracy, no samples' },
    ],
  };
}

/** `tickets.eval.jsonl` for `tickets.train.jsonl`. */
export function sisterOf(name: string, others: readonly string[]): string | undefined {
  const part = /(^|[._-])train(ing)?(?=[._-])/i;
  if (!part.test(name)) return undefined;
  for (const word of ['eval', 'validation', 'valid', 'val', 'dev', 'test']) {
    const wanted = name.replace(part, `$1${word}`).toLowerCase();
    const found = others.find((other) => other.toLowerCase() === wanted);
    if (found !== undefined) return found;
  }
  return undefined;
}

const devicesSchema = z.array(
  z.looseObject({ id: z.string(), name: z.string(), memory: z.number(), features: z.array(z.string()).optional() }),
);

export interface Devices {
  readonly choices: Choice[];
  /** Bytes of the device that `auto` chooses. */
  readonly memory: number;
  /** Whether it computes in bfloat16. */
  readonly bf16: boolean;
}

/** As `sft-lab devices` says; where it cannot, the CPU. */
export async function findDevices({ node, program }: MeasurerOptions): Promise<Devices> {
  const auto: Choice = { value: 'auto', label: 'Automatic', detail: 'The first GPU, else the CPU' };
  try {
    const { stdout } = await promisify(execFile)(node, [program, 'devices', '--json'], {
      windowsHide: true,
      env: { ...process.env, ELECTRON_RUN_AS_NODE: '1' },
      timeout: 20_000,
    });
    const found = devicesSchema.parse(JSON.parse(stdout));
    const first = found.find(({ id }) => id.startsWith('cuda')) ?? found[0];
    const bf16 = computesInBf16(first?.features);
    const choices = found.map(({ id, name, memory }) => ({
      value: id,
      label: `${id} · ${visibleText(name)}`,
      detail: formatBytes(memory),
    }));
    return { choices: [auto, ...choices], memory: first?.memory ?? totalmem(), bf16 };
  } catch {
    return { choices: [auto, { value: 'cpu', label: 'cpu', detail: '' }], memory: totalmem(), bf16: false };
  }
}

/** The absolute path that a path of a config means. */
export function absolutePath(path: string, folder: string): string {
  return isAbsolute(path) ? path : join(folder, path);
}

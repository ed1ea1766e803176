/** The folder of a run: made in one piece, opened again later. */

import { mkdir, mkdtemp, readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { ResolvedConfig } from '../core/config.js';
import { checkConfig, resolveConfig } from '../core/config-parse.js';
import { LabError } from '../core/errors.js';
import { type Experiment, experimentSchema, type RunInfo, runInfoSchema } from '../core/experiment.js';
import { makeFolder, move, readJson, removeFolder, syncPath, writeDurably, writeError } from './files.js';
import { onWindows } from './system.js';

export interface Run {
  readonly directory: string;
  readonly info: RunInfo;
  readonly config: ResolvedConfig;
  readonly events: string;
  readonly console: string;
  readonly checkpoints: string;
}

export interface NewRun {
  /** Wished for; a number is added where it is taken. */
  readonly name: string;
  readonly kind: RunInfo['kind'];
  readonly label: string;
  readonly version: string;
  readonly configFile: string | null;
  readonly config: ResolvedConfig;
  readonly inputs: RunInfo['inputs'];
}

export function experimentFolder(outputDirectory: string, experiment: string): string {
  return join(outputDirectory, fileName(experiment));
}

/** A name of a run or an experiment as its folder has it: Windows knows none with dots or spaces at its end, and keeps some for devices. */
export function fileName(name: string, windows = onWindows): string {
  if (!windows) return name;
  const trimmed = name.replace(/[. ]+$/, '');
  return /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i.test(trimmed) ? `_${trimmed}` : trimmed;
}

/**
 * Makes a run's folder: filled beside its place, then renamed, so that a folder with a run's name is complete. Never touches
 * one that exists.
 */
export async function createRun(experimentDirectory: string, run: NewRun): Promise<Run> {
  await makeFolder(experimentDirectory);
  let partial: string | undefined;
  try {
    partial = await mkdtemp(join(experimentDirectory, '.new-'));
    await mkdir(join(partial, 'checkpoints'));
    const wished = fileName(run.name);
    for (let n = 1; n < 100_000; n++) {
      const name = n === 1 ? wished : `${wished}-${n}`;
      const directory = join(experimentDirectory, name);
      if (await exists(directory)) continue;
      const info: RunInfo = {
        v: 1,
        kind: run.kind,
        name,
        label: run.label,
        experiment: basename(experimentDirectory),
        created: new Date().toISOString(),
        version: run.version,
        configFile: run.configFile,
        config: { ...run.config },
        inputs: run.inputs,
      };
      await writeDurably(join(partial, 'run.json'), `${JSON.stringify(info, null, 2)}\n`);
      try {
        await move(partial, directory);
      } catch (error) {
        // Somebody else made it in between.
        if (await exists(directory)) continue;
        throw error;
      }
      await syncPath(experimentDirectory);
      return runOf(directory, info, run.config);
    }
    throw new LabError(`all names like ${run.name} are taken`, { place: { file: experimentDirectory } });
  } catch (error) {
    if (partial !== undefined) await removeFolder(partial).catch(() => undefined);
    throw writeError(error, experimentDirectory);
  }
}

/** @throws LabError where the folder is no run's */
export async function openRun(directory: string): Promise<Run> {
  const absolute = resolve(directory);
  const file = join(absolute, 'run.json');
  if (!(await exists(file))) {
    throw new LabError('not the folder of a run: it has no run.json', {
      place: { file: absolute },
      advice: 'Runs stand in .sft/<experiment>/<run>.',
    });
  }
  const info = await readJson(file, runInfoSchema);
  const config = resolveConfig(
    checkConfig(dropEmptyEvaluation(info.config), () => ({ file })),
    dirname(file),
    info.experiment,
  );
  return runOf(absolute, info, config);
}

/** A resolved config has `eval_dataset: {}` for none, beside a test_size perhaps; the checks know only its absence. */
function dropEmptyEvaluation(config: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { eval_dataset: sets, ...rest } = config;
  const empty = typeof sets === 'object' && sets !== null && Object.keys(sets).length === 0;
  return empty ? rest : { ...config };
}

function runOf(directory: string, info: RunInfo, config: ResolvedConfig): Run {
  return {
    directory,
    info,
    config,
    events: join(directory, 'events.jsonl'),
    console: join(directory, 'console.log'),
    checkpoints: join(directory, 'checkpoints'),
  };
}

/** Names of the folders in an experiment that are runs. */
export async function runNames(experimentDirectory: string): Promise<string[]> {
  const entries = await readdir(experimentDirectory, { withFileTypes: true }).catch(() => []);
  const names: string[] = [];
  for (const entry of entries) {
    if (!entry.isDirectory() || entry.name.startsWith('.')) continue;
    if (await exists(join(experimentDirectory, entry.name, 'run.json'))) names.push(entry.name);
  }
  return names.sort();
}

/** The same in the order in which a comparison trains them: the untuned model, the runs of its axes, others after these. */
export async function runNamesInTurn(experimentDirectory: string): Promise<string[]> {
  const names = await runNames(experimentDirectory);
  const { baseline, runs } = (await readExperiment(experimentDirectory)) ?? { baseline: null, runs: [] };
  const planned = [...(baseline === null ? [] : [baseline]), ...runs.map(({ name }) => name)];
  return [...new Set([...planned.filter((name) => names.includes(name)), ...names])];
}

export async function writeExperiment(experimentDirectory: string, experiment: Experiment): Promise<void> {
  await makeFolder(experimentDirectory);
  await writeDurably(join(experimentDirectory, 'experiment.json'), `${JSON.stringify(experiment, null, 2)}\n`);
}

/** Undefined where the experiment is just a folder of single runs. */
export async function readExperiment(experimentDirectory: string): Promise<Experiment | undefined> {
  const file = join(experimentDirectory, 'experiment.json');
  return (await exists(file)) ? readJson(file, experimentSchema) : undefined;
}

export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

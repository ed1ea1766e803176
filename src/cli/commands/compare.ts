/**
 * `sft-lab compare CONFIG`: trains every combination of the config's axes, one after the other, and reports. All their folders are
 * made first: what is to come is seen. Started again, it skips what is finished and resumes what is not.
 */

import { createHash } from 'node:crypto';
import { basename, join, relative } from 'node:path';
import type { Command } from 'commander';
import type { ResolvedConfig } from '../../core/config.js';
import { checkConfig } from '../../core/config-parse.js';
import { LabError } from '../../core/errors.js';
import { type Experiment, type InputFile, type Variant, variantsOf } from '../../core/experiment.js';
import { quoted } from '../../core/shell-words.js';
import { inputsOf } from '../../runs/inputs.js';
import {
  createRun,
  exists,
  experimentFolder,
  openRun,
  type Run,
  readExperiment,
  runNames,
  writeExperiment,
} from '../../runs/run-folder.js';
import { type LoadedConfig, loadConfig, readyConfig } from '../config-file.js';
import { asUsage, type ExitCode } from '../failure.js';
import { conclude, workThrough } from '../in-turn.js';
import type { Terminal } from '../terminal.js';
import { version } from '../version.js';
import { makeTerminal } from './report.js';
import { collect } from './train.js';

interface CompareFlags {
  readonly set: readonly string[];
  readonly baseline: boolean;
  readonly new?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

export function addCompare(program: Command): void {
  program
    .command('compare')
    .description('Trains every combination of the axes in `compare`, evaluates the untuned model, and reports.')
    .argument('<config>', 'a *.sft.json file with `compare`, for instance {"num_train_epochs": [1, 2, 3]}')
    .option('--set <key=value>', 'replaces a value of the config; may be repeated', collect, [])
    .option('--no-baseline', 'leave the untuned model out')
    .option('--new', 'begin a new experiment where one with this config exists')
    .option('--json', 'print the report as JSON at the end; progress goes to the error stream')
    .option('--quiet', 'print warnings, errors and the report only')
    .addHelpText('after', '\nStarted again with the same config, it skips finished runs and resumes the others.')
    .action(async (file: string, flags: CompareFlags) => {
      process.exitCode = await compare(file, flags);
    });
}

/** A run of the comparison, before it has a folder. */
interface Planned {
  readonly variant: Variant;
  readonly kind: 'train' | 'baseline';
  readonly config: ResolvedConfig;
  readonly inputs: readonly InputFile[];
}

async function compare(file: string, flags: CompareFlags): Promise<ExitCode> {
  const { loaded, planned, digest } = await asUsage(() => plan(file, flags));
  const quiet = flags.quiet === true;
  const json = flags.json === true;
  const terminal = makeTerminal(quiet || json);
  const directory = await placeExperiment(loaded, planned, digest, flags.new === true, terminal);
  const makeRuns = async (): Promise<readonly Run[]> => {
    const runs: Run[] = [];
    for (const one of planned) runs.push(await openOrCreate(directory, one, loaded.file));
    return runs;
  };
  const output = quiet && !json ? makeTerminal(false) : terminal;
  const outcome = await workThrough(directory, makeRuns, { terminal, quiet, json }, output);
  const words = ['sft-lab compare', ...[relative(process.cwd(), loaded.file), ...options(flags)].map(quoted)];
  return conclude(outcome, words.join(' '), terminal);
}

/** The options that make a comparison this one and no other. */
function options({ set, baseline }: CompareFlags): string[] {
  return [...set.flatMap((value) => ['--set', value]), ...(baseline ? [] : ['--no-baseline'])];
}

async function plan(
  file: string,
  flags: CompareFlags,
): Promise<{ loaded: LoadedConfig; planned: Planned[]; digest: string }> {
  const loaded = await loadConfig(file, flags.set);
  const { compare: axes, ...base } = loaded.config;
  if (axes === undefined) {
    throw new LabError('nothing to compare', {
      place: { file, field: 'compare' },
      advice: 'Add for instance "compare": {"loss_on": ["completion", "all"], "num_train_epochs": [1, 2, 3]}.',
    });
  }
  const planned: Planned[] = [];
  const add = async (variant: Variant, kind: Planned['kind']): Promise<void> => {
    const config = await readyConfig(loaded, checkVariant(base, variant, file));
    planned.push({ variant, kind, config, inputs: await inputsOf(config, config.model_name_or_path) });
  };
  const variants = variantsOf(axes);
  const evaluates = base.eval_dataset !== undefined || base.test_size > 0;
  if (flags.baseline && evaluates && !base.initialize_model) {
    // The values of the first variant, where the axes are of what is evaluated.
    const values = variants[0]?.values ?? {};
    await add({ name: 'untuned', label: 'Untuned', values }, 'baseline');
  }
  for (const variant of variants) await add(variant, 'train');
  const facts = planned.map(({ variant, kind, config, inputs }) => ({
    name: variant.name,
    kind,
    config: { ...config, output_dir: '', experiment: '' },
    inputs,
  }));
  const digest = createHash('sha256').update(JSON.stringify(facts)).digest('hex');
  return { loaded, planned, digest };
}

/** A mistake in an axis is named as such. */
function checkVariant(
  base: Readonly<Record<string, unknown>>,
  { values, label }: Variant,
  file: string,
): ReturnType<typeof checkConfig> {
  try {
    return checkConfig({ ...base, ...values });
  } catch (error) {
    if (!(error instanceof LabError)) throw error;
    const field = error.place.field ?? '';
    const axis = Object.keys(values).find(
      (key) => field === key || field.startsWith(`${key}.`) || field.startsWith(`${key}[`),
    );
    throw new LabError(axis === undefined ? `${label}: ${error.message}` : error.message, {
      place: { file, field: axis === undefined ? field : `compare.${field}` },
      ...(error.advice === undefined ? {} : { advice: error.advice }),
      cause: error,
    });
  }
}

/** The folder of the experiment: one that was begun with the same config and inputs, else a new one. */
async function placeExperiment(
  loaded: LoadedConfig,
  planned: readonly Planned[],
  digest: string,
  fresh: boolean,
  terminal: Terminal,
): Promise<string> {
  const first = planned[0]?.config;
  if (first === undefined) throw new LabError('nothing to compare', { place: { file: loaded.file, field: 'compare' } });
  const wished = experimentFolder(first.output_dir, first.experiment ?? 'experiment');
  let free: string | undefined;
  for (let n = 1; free === undefined; n++) {
    const directory = n === 1 ? wished : `${wished}-${n}`;
    const experiment = await readExperiment(directory);
    if (experiment !== undefined && experiment.digest === digest && !fresh) {
      terminal.line(`Continuing ${relative(process.cwd(), directory)}`);
      return directory;
    }
    if (experiment === undefined && (!(await exists(directory)) || (await runNames(directory)).length === 0))
      free = directory;
  }
  const runs = planned
    .filter(({ kind }) => kind === 'train')
    .map(({ variant }) => ({ ...variant, values: { ...variant.values } }));
  const experiment: Experiment = {
    v: 1,
    name: basename(free),
    created: new Date().toISOString(),
    configFile: loaded.file,
    digest,
    axes: loaded.config.compare ?? {},
    runs,
    baseline: planned.find(({ kind }) => kind === 'baseline')?.variant.name ?? null,
  };
  await writeExperiment(free, experiment);
  terminal.line(`Experiment ${relative(process.cwd(), free)}: ${runs.length} runs`);
  return free;
}

async function openOrCreate(directory: string, planned: Planned, configFile: string): Promise<Run> {
  const { variant, kind, config, inputs } = planned;
  const folder = join(directory, variant.name);
  if (await exists(join(folder, 'run.json'))) return openRun(folder);
  return createRun(directory, {
    name: variant.name,
    kind,
    label: variant.label,
    version,
    configFile,
    config: { ...config, experiment: basename(directory) },
    inputs: [...inputs],
  });
}

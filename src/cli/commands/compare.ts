/**
 * `sft-lab compare CONFIG`: trains every combination of the config's axes, one after the other, and reports. Each run is a
 * process of its own, so that one which fails, even in native code, leaves the others. Started again, it skips what is
 * finished and resumes what is not.
 */

import { createHash } from 'node:crypto';
import { basename, join, relative } from 'node:path';
import type { Command } from 'commander';
import type { ResolvedConfig } from '../../core/config.js';
import { checkConfig } from '../../core/config-parse.js';
import { LabError } from '../../core/errors.js';
import { type Experiment, type InputFile, type Variant, variantsOf } from '../../core/experiment.js';
import { inputsOf } from '../../runs/inputs.js';
import { summarizeRun } from '../../runs/list.js';
import { acquireLock, lockHolder, waitForRelease } from '../../runs/lock.js';
import { reportExperiment, writeReport } from '../../runs/report.js';
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
import { runInChild } from '../child.js';
import { type LoadedConfig, loadConfig, readyConfig } from '../config-file.js';
import { asUsage, type ExitCode, exitCode, quoted } from '../failure.js';
import { listenForStop } from '../stopping.js';
import type { Terminal } from '../terminal.js';
import { version } from '../version.js';
import { makeTerminal, printReport } from './report.js';
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
  const terminal = makeTerminal(flags.quiet === true || flags.json === true);
  const directory = await placeExperiment(loaded, planned, digest, flags.new === true, terminal);
  // Two at once would get in each other's way; and whoever looks at the folder sees that there is more to come.
  const lock = await acquireLock(directory, 'working through this comparison');

  let leaveNow: (() => void) | undefined;
  const stopping = listenForStop({
    onFirst: () => undefined,
    onSecond: () => leaveNow?.(),
  });
  let failed = 0;
  try {
    for (const [i, one] of planned.entries()) {
      if (stopping.signal.aborted) break;
      terminal.line(['bold', `\n[${i + 1}/${planned.length}] ${one.variant.label}`]);
      const run = await openOrCreate(directory, one, loaded.file);
      if ((await summarizeRun(run)).state === 'finished') {
        terminal.line(['dim', '  finished before']);
        continue;
      }
      await waitForOther(run, terminal, stopping.signal);
      const code = await runInChild(['resume', run.directory, ...(flags.quiet === true ? ['--quiet'] : [])], {
        toErrorStream: flags.json === true,
        stop: stopping.signal,
        onKill: (kill) => {
          leaveNow = kill;
        },
      });
      leaveNow = undefined;
      if (code !== exitCode.ok && !stopping.signal.aborted) {
        failed++;
        terminal.alert(['red', `${one.variant.label} did not finish (exit code ${code}); going on with the others.`]);
      }
      await writeReport(directory, await reportExperiment(directory));
    }
    const report = await reportExperiment(directory);
    const files = await writeReport(directory, report);
    if (flags.json === true) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
    else {
      const output = flags.quiet === true ? makeTerminal(false) : terminal;
      output.line('');
      printReport(report, files, output);
    }
    const again = ['sft-lab compare', ...[relative(process.cwd(), loaded.file), ...options(flags)].map(quoted)].join(
      ' ',
    );
    if (stopping.signal.aborted) {
      terminal.alert(['yellow', `Interrupted. Continue with: ${again}`]);
      return exitCode.interrupted;
    }
    if (failed > 0) {
      terminal.alert(['yellow', `${failed} of ${planned.length} runs did not finish. Try them again with: ${again}`]);
      return exitCode.failure;
    }
    return exitCode.ok;
  } finally {
    stopping.dispose();
    lock.release();
  }
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

/** A run that another process is training, perhaps one that an earlier `compare` left behind, is given time to end. */
async function waitForOther(run: Run, terminal: Terminal, stop: AbortSignal): Promise<void> {
  const holder = lockHolder(run.directory);
  if (holder === undefined) return;
  terminal.line(['yellow', `  process ${holder.pid} is training this run; waiting for it`]);
  while (!stop.aborted && !(await waitForRelease(run.directory, 60_000, stop).catch(() => false)));
}

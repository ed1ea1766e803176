/**
 * `sft-lab resume [RUN…]`: continues a run from its newest good checkpoint, or from its start where it has none. Several, or all of an
 * experiment's, go one after the other.
 */

import { stat } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import type { Command } from 'commander';
import { LabError } from '../../core/errors.js';
import { quoted } from '../../core/shell-words.js';
import { latestUnfinished, summarizeRun } from '../../runs/list.js';
import { exists, openRun, type Run, runNamesInTurn } from '../../runs/run-folder.js';
import { executeRun, type OutputOptions } from '../execute.js';
import { asUsage, type ExitCode, exitCode } from '../failure.js';
import { conclude, type InTurnOutcome, trainInTurn, workThrough } from '../in-turn.js';
import { makeTerminal } from './report.js';

interface ResumeFlags extends OutputOptions {
  readonly outputDir: string;
}

/** What one word of the command line stands for. */
type Target = { readonly run: Run } | { readonly experiment: string; readonly runs: readonly Run[] };

export function addResume(program: Command): void {
  program
    .command('resume')
    .description('Continues runs exactly where they stopped, were killed or failed; several go one after the other.')
    .argument(
      '[runs...]',
      'folders of runs; of an experiment: all its unfinished runs; `latest`: the unfinished run that was active last',
      ['latest'],
    )
    .option('--output-dir <folder>', 'where `latest` looks', '.sft')
    .option('--json', 'write the events of the run (of one alone) to standard output, one JSON object a line')
    .option('--quiet', 'print warnings and errors only')
    .action(async (names: readonly string[], flags: ResumeFlags) => {
      const targets = await asUsage(() => findTargets(names, flags));
      const [first] = targets;
      process.exitCode =
        targets.length === 1 && first !== undefined && 'run' in first
          ? await resumeOne(first.run, flags)
          : await resumeSeveral(targets, flags);
    });
}

async function resumeOne(run: Run, flags: ResumeFlags): Promise<ExitCode> {
  const { state } = await summarizeRun(run);
  if (state !== 'finished') return executeRun(run, flags);
  if (flags.quiet !== true) process.stderr.write(`${run.directory} is finished already.\n`);
  return exitCode.ok;
}

async function resumeSeveral(targets: readonly Target[], flags: ResumeFlags): Promise<ExitCode> {
  const quiet = flags.quiet === true;
  const terminal = makeTerminal(quiet);
  const output = { terminal, quiet, json: false };
  const outcomes: InTurnOutcome[] = [];
  const stopped = (): boolean => outcomes.some((outcome) => outcome.stopped);
  const alone = targets.flatMap((target) => ('run' in target ? [target.run] : []));
  if (alone.length > 0) outcomes.push(await trainInTurn(alone, output));
  for (const target of targets) {
    if (stopped() || 'run' in target) continue;
    terminal.line(`Experiment ${relative(process.cwd(), target.experiment)}`);
    outcomes.push(await workThrough(target.experiment, async () => target.runs, output, terminal));
  }
  const sum = (of: (outcome: InTurnOutcome) => number): number => outcomes.reduce((all, one) => all + of(one), 0);
  const folders = targets.map((target) => ('run' in target ? target.run.directory : target.experiment));
  const words = ['sft-lab resume', ...folders.map((folder) => quoted(relative(process.cwd(), folder)))];
  const all = { runs: sum(({ runs }) => runs), failed: sum(({ failed }) => failed), stopped: stopped() };
  return conclude(all, words.join(' '), terminal);
}

async function findTargets(names: readonly string[], { outputDir, json }: ResumeFlags): Promise<readonly Target[]> {
  const targets: Target[] = [];
  for (const name of names) targets.push(await findTarget(name, outputDir));
  if (json === true && targets.some((target) => targets.length > 1 || !('run' in target))) {
    throw new LabError('--json writes the events of one run, and several are named', {
      advice: 'Name the folder of one run, or leave --json out.',
    });
  }
  return targets;
}

async function findTarget(name: string, outputDirectory: string): Promise<Target> {
  if (name === 'latest') return { run: await latest(resolve(outputDirectory)) };
  const folder = resolve(name);
  if (!(await exists(join(folder, 'run.json')))) {
    const names = await runNamesInTurn(folder);
    if (names.length > 0) {
      return { experiment: folder, runs: await Promise.all(names.map((one) => openRun(join(folder, one)))) };
    }
  }
  // A checkpoint's folder means its run.
  const inside = /[/\\]checkpoints[/\\]step-\d+[/\\]?$/.test(folder) ? dirname(dirname(folder)) : folder;
  return { run: await openRun(inside) };
}

async function latest(folder: string): Promise<Run> {
  const found = await stat(folder).catch(() => undefined);
  const run = found === undefined ? undefined : await latestUnfinished(folder);
  if (run === undefined) {
    throw new LabError(found === undefined ? 'no such folder' : 'no unfinished run', {
      place: { file: folder },
      advice: 'Name the folder of the run, or the folder of all experiments with --output-dir.',
    });
  }
  return run;
}

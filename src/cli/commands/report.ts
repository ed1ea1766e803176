/** `sft-lab report [EXPERIMENT]`: the runs of an experiment side by side, printed and written to its folder. */

import { stat } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import type { Command } from 'commander';
import { LabError } from '../../core/errors.js';
import { bestSentence, type Report, reportTable, standingOf } from '../../core/report.js';
import { runsByActivity } from '../../runs/list.js';
import { reportExperiment, writeReport } from '../../runs/report.js';
import { exists } from '../../runs/run-folder.js';
import { asUsage } from '../failure.js';
import { editorPty, printable, Terminal } from '../terminal.js';

interface ReportFlags {
  readonly outputDir: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

export function addReport(program: Command): void {
  program
    .command('report')
    .description('Compares the runs of an experiment and writes report.json, report.md and report.csv.')
    .argument(
      '[experiment]',
      'folder of the experiment, or its name in the output folder; left out: the one active last',
    )
    .option('--output-dir <folder>', 'folder of all experiments', '.sft')
    .option('--json', 'print the report as JSON')
    .option('--quiet', 'write the files, print nothing')
    .action(async (name: string | undefined, flags: ReportFlags) => {
      const directory = await asUsage(() => findExperiment(name, resolve(flags.outputDir)));
      const report = await reportExperiment(directory);
      const files = await writeReport(directory, report);
      if (flags.json === true) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
      else printReport(report, files, makeTerminal(flags.quiet === true));
    });
}

export function makeTerminal(quiet: boolean): Terminal {
  return new Terminal({ stream: process.stdout, errors: process.stderr, quiet, pty: editorPty() });
}

export function printReport(report: Report, files: readonly string[], terminal: Terminal): void {
  const width = terminal.interactive ? terminal.width : Number.POSITIVE_INFINITY;
  for (const line of reportTable(report, width)) terminal.line(line);
  for (const row of report.rows) {
    const { label, run, state, reason } = row;
    if (state === 'finished') continue;
    const why = reason === null ? '' : `: ${printable(reason.split('\n')[0] ?? '')}`;
    terminal.line(['yellow', `${label} (${run}) is ${standingOf(row)}${why}`]);
  }
  const best = bestSentence(report);
  if (best !== undefined) terminal.line(['green', best]);
  terminal.line(['dim', `Written: ${files.map((file) => relative(process.cwd(), file)).join(', ')}`]);
}

async function findExperiment(name: string | undefined, outputDirectory: string): Promise<string> {
  if (name === undefined) {
    const latest = (await runsByActivity(outputDirectory))[0];
    if (latest !== undefined) return dirname(latest);
    throw new LabError('no experiments here', { place: { file: outputDirectory } });
  }
  for (const directory of [resolve(name), join(outputDirectory, name)]) {
    if (await exists(join(directory, 'run.json'))) return dirname(directory);
    if ((await stat(directory).catch(() => undefined))?.isDirectory() === true) return directory;
  }
  throw new LabError(`no experiment ${name}`, { advice: `Looked for the folder itself, and in ${outputDirectory}.` });
}

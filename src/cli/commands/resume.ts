/** `sft-lab resume [RUN]`: continues a run from its newest good checkpoint, or from its start where it has none. */

import { stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { LabError } from '../../core/errors.js';
import { latestUnfinished, summarizeRun } from '../../runs/list.js';
import { openRun, type Run } from '../../runs/run-folder.js';
import { executeRun, type OutputOptions } from '../execute.js';
import { asUsage, exitCode } from '../failure.js';

interface ResumeFlags extends OutputOptions {
  readonly outputDir: string;
}

export function addResume(program: Command): void {
  program
    .command('resume')
    .description('Continues a run exactly where it stopped, was killed or failed.')
    .argument('[run]', 'folder of the run, or `latest`: the unfinished one that was active last', 'latest')
    .option('--output-dir <folder>', 'where `latest` looks', '.sft')
    .option('--json', 'write the events of the run to standard output, one JSON object a line')
    .option('--quiet', 'print warnings and errors only')
    .action(async (name: string, flags: ResumeFlags) => {
      const run = await asUsage(() => findRun(name, flags.outputDir));
      const { state } = await summarizeRun(run);
      if (state === 'finished') {
        if (flags.quiet !== true) process.stderr.write(`${run.directory} is finished already.\n`);
        process.exitCode = exitCode.ok;
        return;
      }
      process.exitCode = await executeRun(run, flags);
    });
}

async function findRun(name: string, outputDirectory: string): Promise<Run> {
  if (name !== 'latest') {
    // A checkpoint's folder means its run.
    const inside = /[/\\]checkpoints[/\\]step-\d+[/\\]?$/.test(resolve(name)) ? dirname(dirname(resolve(name))) : name;
    return openRun(inside);
  }
  const folder = resolve(outputDirectory);
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

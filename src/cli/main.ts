/** The `sft-lab` command: its subcommands, each in a file of its own under `commands/`. */

import { Command, CommanderError } from 'commander';
import { messagesVariable } from '../core/terminal-messages.js';
import { addCompare } from './commands/compare.js';
import { addDevices } from './commands/devices.js';
import { addFilter } from './commands/filter.js';
import { addGenerate } from './commands/generate.js';
import { addInspect } from './commands/inspect.js';
import { addMeasure } from './commands/measure.js';
import { addReport } from './commands/report.js';
import { addResume } from './commands/resume.js';
import { addSchema } from './commands/schema.js';
import { addTrain } from './commands/train.js';
import { describeFailure, exitCode, exitCodeOf } from './failure.js';
import { version } from './version.js';

// From the first moment on: an editor that closes while a run starts hangs up its terminal.
if (process.env[messagesVariable] === '1') process.on('SIGHUP', () => undefined);

const program = new Command('sft-lab')
  .description('Fine-tunes language models with a native engine, and compares the runs.')
  .version(version)
  .showHelpAfterError('See sft-lab --help.')
  .showSuggestionAfterError()
  .exitOverride();

for (const add of [
  addTrain,
  addCompare,
  addResume,
  addGenerate,
  addReport,
  addMeasure,
  addInspect,
  addFilter,
  addDevices,
  addSchema,
])
  add(program);
for (const command of program.commands)
  command.exitOverride().showHelpAfterError(`See sft-lab ${command.name()} --help.`);

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // Commander has said what is wrong; help and version end here too.
    process.exitCode = error.exitCode === 0 ? exitCode.ok : exitCode.usage;
  } else {
    process.stderr.write(`${describeFailure(error)}\n`);
    process.exitCode = exitCodeOf(error);
  }
}

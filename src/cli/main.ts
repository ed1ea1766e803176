/**
 * The `sft-lab` command: its subcommands, each in a file of its own under `commands/`. Only the one that is called is loaded, all of
 * them for help; and a trainer's data worker is started before anything else is.
 */

import type { Command as Program } from 'commander';
import { messagesVariable } from '../core/messages-variable.js';
import { type DataWorker, startDataWorker } from '../data/start-worker.js';

// From the first moment on: an editor that closes while a run starts hangs up its terminal.
if (process.env[messagesVariable] === '1') process.on('SIGHUP', () => undefined);

/** What adds a subcommand to the program. */
type Add = (program: Program) => void;

const commands: Readonly<Record<string, () => Promise<Add>>> = {
  train: async () => {
    const { addTrain } = await import('./commands/train.js');
    return (program) => addTrain(program, worker);
  },
  compare: async () => (await import('./commands/compare.js')).addCompare,
  resume: async () => (await import('./commands/resume.js')).addResume,
  generate: async () => (await import('./commands/generate.js')).addGenerate,
  report: async () => (await import('./commands/report.js')).addReport,
  measure: async () => (await import('./commands/measure.js')).addMeasure,
  inspect: async () => (await import('./commands/inspect.js')).addInspect,
  filter: async () => (await import('./commands/filter.js')).addFilter,
  devices: async () => (await import('./commands/devices.js')).addDevices,
  schema: async () => (await import('./commands/schema.js')).addSchema,
};

const called = process.argv[2] ?? '';
const help = process.argv.includes('--help') || process.argv.includes('-h');
const worker: DataWorker | undefined = called === 'train' && !help ? startDataWorker() : undefined;
const one = Object.hasOwn(commands, called) ? commands[called] : undefined;

// All at once: a file after the other takes longer.
const [{ Command, CommanderError }, { describeFailure, exitCode, exitCodeOf }, { version }, adders] = await Promise.all(
  [
    import('commander'),
    import('./failure.js'),
    import('./version.js'),
    Promise.all((one === undefined ? Object.values(commands) : [one]).map((load) => load())),
  ],
);

const program = new Command('sft-lab')
  .description('Fine-tunes language models with a native engine, and compares the runs.')
  .version(version)
  .showHelpAfterError('See sft-lab --help.')
  .showSuggestionAfterError()
  .exitOverride();

try {
  for (const add of adders) add(program);
  for (const command of program.commands)
    command.exitOverride().showHelpAfterError(`See sft-lab ${command.name()} --help.`);
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

/** `sft-lab train CONFIG`: makes a run's folder and trains the run to its end. */

import type { Command } from 'commander';
import type { ResolvedConfig } from '../../core/config.js';
import { describeConfig } from '../../core/config.js';
import { LabError } from '../../core/errors.js';
import type { DataWorker } from '../../data/start-worker.js';
import { inputsOf } from '../../runs/inputs.js';
import { createRun, experimentFolder } from '../../runs/run-folder.js';
import { beginRunData, type OpeningData } from '../../train/open-data.js';
import { loadConfig, readyConfig } from '../config-file.js';
import { executeRun, type OutputOptions } from '../execute.js';
import { asUsage } from '../failure.js';
import { version } from '../version.js';

interface TrainFlags extends OutputOptions {
  readonly set: readonly string[];
}

/** @param worker of the run's data, which was started while this was loaded */
export function addTrain(program: Command, worker?: DataWorker): void {
  program
    .command('train')
    .description('Trains one run as a config file says.')
    .argument('<config>', 'a *.sft.json file')
    .option('--set <key=value>', 'replaces a value of the config; may be repeated', collect, [])
    .option('--json', 'write the events of the run to standard output, one JSON object a line')
    .option('--quiet', 'print warnings and errors only')
    .addHelpText('after', () => `\nKeys of the config (standard value in brackets):\n${describeConfig().join('\n')}`)
    .action(async (file: string, flags: TrainFlags) => {
      process.exitCode = await train(file, flags, worker);
    });
}

export function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

async function train(file: string, flags: TrainFlags, worker: DataWorker | undefined): Promise<number> {
  let opening: OpeningData | undefined;
  const run = await asUsage(async () => {
    const loaded = await loadConfig(file, flags.set);
    if (loaded.config.compare !== undefined) {
      throw new LabError('this config compares several runs', {
        place: { file, field: 'compare' },
        advice: `Use: sft-lab compare ${file}`,
      });
    }
    const config = await readyConfig(loaded);
    // Reading begins at once, beside what makes the run's folder. A template of its own is read when the run begins.
    if (config.chat_template_path === undefined) opening = beginRunData(config, undefined, worker);
    return { loaded, config, inputs: await inputsOf(config, config.model_name_or_path) };
  })
    .then(({ loaded, config, inputs }) => {
      const label = config.run_name ?? defaultName(config);
      return createRun(experimentFolder(config.output_dir, config.experiment ?? 'experiment'), {
        name: label,
        kind: 'train',
        label,
        version,
        configFile: loaded.file,
        config,
        inputs,
      });
    })
    .catch((error: unknown) => {
      opening?.giveUp(error);
      throw error;
    });
  return executeRun(run, flags, opening);
}

/** What a run is called unless the config says: by what it trains on. */
function defaultName(config: ResolvedConfig): string {
  return `${config.loss_on === 'completion' ? 'completion' : 'full-sequence'}${config.use_peft ? '-lora' : ''}`;
}

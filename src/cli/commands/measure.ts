/** `sft-lab measure CONFIG`: what a run would take here, by training a few seconds of it. Writes nothing. */

import { type Command, InvalidArgumentError } from 'commander';
import { LabError } from '../../core/errors.js';
import type { Measurement, Refusal } from '../../core/measurement.js';
import { formatBytes, formatCount, formatDuration } from '../../core/units.js';
import { measure } from '../../train/measure.js';
import { loadConfig, readConfig, readyConfig } from '../config-file.js';
import { asUsage, exitCode, exitCodeOf, UsageError } from '../failure.js';
import { listenForStop } from '../stopping.js';
import { collect } from './train.js';

interface MeasureFlags {
  readonly set: readonly string[];
  readonly seconds: number;
  readonly json?: boolean;
}

export function addMeasure(program: Command): void {
  program
    .command('measure')
    .description('Trains a few seconds of a config and says what the run takes: speed, memory, time. Writes nothing.')
    .argument('<config>', 'a *.sft.json file; `-`: standard input')
    .option('--set <key=value>', 'replaces a value of the config; may be repeated', collect, [])
    .option('--seconds <s>', 'how long to train; one microbatch at least', seconds, 3)
    .option('--json', 'print a JSON object')
    .action(async (file: string, flags: MeasureFlags) => {
      process.exitCode = await run(file, flags);
    });
}

function seconds(value: string): number {
  const number = Number(value);
  if (value.trim() === '' || !(number >= 0)) throw new InvalidArgumentError('expected a number from 0 on.');
  return number;
}

async function run(file: string, flags: MeasureFlags): Promise<number> {
  const stopping = listenForStop({ onFirst: () => undefined, onSecond: () => undefined });
  try {
    const config = await asUsage(async () => {
      const loaded = file === '-' ? await readConfig(process.stdin, flags.set) : await loadConfig(file, flags.set);
      return readyConfig(loaded);
    });
    const measured = await measure({ config, seconds: flags.seconds, stop: stopping.signal });
    process.stdout.write(flags.json === true ? `${JSON.stringify(measured)}\n` : describe(measured));
    return exitCode.ok;
  } catch (error) {
    if (stopping.signal.aborted) return exitCode.interrupted;
    const known = error instanceof UsageError ? error.error : error;
    if (flags.json !== true || !(known instanceof LabError)) throw error;
    const { message, place, advice } = known;
    const refusal: Refusal = { error: { message, ...place, ...(advice === undefined ? {} : { advice }) } };
    process.stdout.write(`${JSON.stringify(refusal)}\n`);
    return exitCodeOf(error);
  } finally {
    stopping.dispose();
  }
}

function describe(measured: Measurement): string {
  const { trainSeconds, evaluationSeconds, evaluations } = measured;
  const evaluating =
    evaluations === 0 ? '' : `, ${formatDuration(evaluationSeconds)} of it in ${evaluations} evaluations`;
  const engine = formatBytes(measured.engineMemory);
  const whole = formatBytes(measured.processMemory);
  const rows = [
    ['Device', `${measured.device}, ${formatBytes(measured.deviceMemory)}`],
    [
      'Model',
      `${measured.architecture}, ${formatCount(measured.parameters)} parameters, ${formatCount(measured.trainableParameters)} trained`,
    ],
    ['Steps', `${measured.totalSteps} (${measured.stepsPerEpoch} an epoch)`],
    ['Tokens', formatCount(measured.tokens)],
    [
      'Speed',
      `${formatCount(Math.round(measured.tokensPerSecond))} tokens/s over ${measured.microbatchesMeasured} microbatches`,
    ],
    [
      'Memory',
      measured.device === 'cpu'
        ? `${whole}, ${engine} of it in the engine`
        : `${engine} of the card, ${whole} beside it`,
    ],
    ['Time', `about ${formatDuration(trainSeconds + evaluationSeconds)}${evaluating}`],
  ];
  return rows.map(([name, value]) => `${name?.padEnd(8)}${value}\n`).join('');
}

/** Trains a run in this process with everything a person expects of the terminal; `train` and `resume` share it. */

import { relative } from 'node:path';
import { quoted } from '../core/shell-words.js';
import { formatDuration } from '../core/units.js';
import type { Run } from '../runs/run-folder.js';
import type { OpeningData } from '../train/open-data.js';
import { type TrainOutcome, trainRun } from '../train/trainer.js';
import { RunDisplay } from './display.js';
import { describeFailure, type ExitCode, exitCode } from './failure.js';
import { listenForStop } from './stopping.js';
import { editorPty, Terminal } from './terminal.js';

export interface OutputOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/**
 * @param opening the run's data, where its opening was begun before
 * @returns the exit code; what failed has been said
 */
export async function executeRun(run: Run, options: OutputOptions, opening?: OpeningData): Promise<ExitCode> {
  const json = options.json === true;
  // Standard output is for events then, and people read the error stream.
  const terminal = new Terminal({
    stream: json ? process.stderr : process.stdout,
    errors: process.stderr,
    quiet: options.quiet === true || json,
    pty: json ? undefined : editorPty(),
  });
  const shown = relative(process.cwd(), run.directory) || '.';
  const how = `sft-lab resume ${quoted(shown)}`;
  const stopping = listenForStop({
    onFirst: () => terminal.alert(['yellow', 'Finishing the step and saving. Ctrl+C again leaves at once.']),
    onSecond: () => terminal.alert(['yellow', `Left at once. Continue with: ${how}`]),
  });
  const display = new RunDisplay(terminal);
  terminal.announceRun(run.directory);
  try {
    let begun = false;
    const outcome = await trainRun({
      run,
      opening,
      stop: stopping.signal,
      onEvent: (event) => {
        if (!begun) {
          // Not before: until now the run may have been another process's, and so its log.
          begun = true;
          terminal.logTo(run.console);
          terminal.line(['bold', `Run    ${shown}`]);
        }
        if (json) process.stdout.write(`${JSON.stringify(event)}\n`);
        terminal.event(event);
        display.event(event);
      },
      onProgress: (phase, done, total) => display.progress(phase, done, total),
    });
    display.close();
    terminal.line(...summary(outcome, how));
    return outcome.status === 'finished' ? exitCode.ok : exitCode.interrupted;
  } catch (error) {
    display.close();
    terminal.alert(['red', `Failed: ${describeFailure(error)}`]);
    terminal.alert(`When that is put right, continue with: ${how}`);
    return exitCode.failure;
  } finally {
    stopping.dispose();
    terminal.closeLog();
  }
}

function summary(
  { status, step, totalSteps, trainSeconds, timing }: TrainOutcome,
  how: string,
): readonly [['green' | 'yellow', string], string] {
  if (status === 'interrupted') {
    return [
      ['yellow', `Interrupted at step ${step}${totalSteps > 0 ? ` of ${totalSteps}` : ''}.`],
      ` Continue with: ${how}`,
    ];
  }
  if (timing.steps === 0) return [['green', 'Finished.'], ''];
  const outside = (1 - (timing.engine + timing.data) / timing.total) * 100;
  const waiting = (timing.data / timing.total) * 100;
  return [
    ['green', 'Finished.'],
    ` ${step} steps in ${formatDuration(trainSeconds)} (outside the engine ${outside.toFixed(2)} % of a step, waiting for data ${waiting.toFixed(2)} %)`,
  ];
}

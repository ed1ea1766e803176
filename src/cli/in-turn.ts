/**
 * Runs one after the other. Each is a process of its own, so that one which fails, even in native code, leaves the others; and of two
 * at once, each would take more than twice as long.
 */

import { summarizeRun } from '../runs/list.js';
import { acquireLock, lockHolder, waitForRelease } from '../runs/lock.js';
import { reportExperiment, writeReport } from '../runs/report.js';
import type { Run } from '../runs/run-folder.js';
import { runInChild } from './child.js';
import { printReport } from './commands/report.js';
import { type ExitCode, exitCode } from './failure.js';
import { listenForStop } from './stopping.js';
import type { Terminal } from './terminal.js';

export interface InTurnOutput {
  readonly terminal: Terminal;
  /** The runs print warnings and errors only. */
  readonly quiet: boolean;
  /** What the runs print goes to the error stream, and the report to standard output, as JSON. */
  readonly json: boolean;
}

export interface InTurnOutcome {
  readonly runs: number;
  readonly failed: number;
  /** Ctrl+C: the run under way has ended in order, and no other was begun. */
  readonly stopped: boolean;
}

/**
 * Trains the runs of an experiment that are not finished, and keeps its report.
 *
 * @param makeRuns called once nobody else can work through the experiment
 * @throws LabError where another process does
 */
export async function workThrough(
  directory: string,
  makeRuns: () => Promise<readonly Run[]>,
  output: InTurnOutput,
  reportTerminal: Terminal,
): Promise<InTurnOutcome> {
  // Whoever looks at the folder sees by its lock that there is more to come.
  const lock = await acquireLock(directory, 'working through this comparison');
  try {
    const report = async () => {
      const made = await reportExperiment(directory);
      return { made, files: await writeReport(directory, made) };
    };
    const outcome = await trainInTurn(await makeRuns(), output, report);
    const { made, files } = await report();
    if (output.json) process.stdout.write(`${JSON.stringify(made, null, 2)}\n`);
    else {
      reportTerminal.line('');
      printReport(made, files, reportTerminal);
    }
    return outcome;
  } finally {
    lock.release();
  }
}

/** @param after called after each run that was trained */
export async function trainInTurn(
  runs: readonly Run[],
  { terminal, quiet, json }: InTurnOutput,
  after: () => Promise<unknown> = async () => undefined,
): Promise<InTurnOutcome> {
  let leaveNow: (() => void) | undefined;
  const stopping = listenForStop({
    onFirst: () => undefined,
    onSecond: () => leaveNow?.(),
  });
  const stop = stopping.signal;
  let failed = 0;
  try {
    for (const [i, run] of runs.entries()) {
      if (stop.aborted) break;
      const { label } = run.info;
      terminal.line(['bold', `\n[${i + 1}/${runs.length}] ${label}`]);
      await waitForOther(run, terminal, stop);
      if ((await summarizeRun(run)).state === 'finished') {
        terminal.line(['dim', '  finished before']);
        continue;
      }
      const code = await runInChild(['resume', run.directory, ...(quiet ? ['--quiet'] : [])], {
        toErrorStream: json,
        stop,
        onKill: (kill) => {
          leaveNow = kill;
        },
      });
      leaveNow = undefined;
      if (code !== exitCode.ok && !stop.aborted) {
        failed++;
        terminal.alert(['red', `${label} did not finish (exit code ${code}); going on with the others.`]);
      }
      await after();
    }
    return { runs: runs.length, failed, stopped: stop.aborted };
  } finally {
    stopping.dispose();
  }
}

/** Says what is left to do, and with which command. */
export function conclude({ runs, failed, stopped }: InTurnOutcome, again: string, terminal: Terminal): ExitCode {
  if (stopped) {
    terminal.alert(['yellow', `Interrupted. Continue with: ${again}`]);
    return exitCode.interrupted;
  }
  if (failed > 0) {
    terminal.alert(['yellow', `${failed} of ${runs} runs did not finish. Try them again with: ${again}`]);
    return exitCode.failure;
  }
  return exitCode.ok;
}

/** A run that another process is training, perhaps one that was left behind, is given time to end. */
async function waitForOther(run: Run, terminal: Terminal, stop: AbortSignal): Promise<void> {
  const holder = lockHolder(run.directory);
  if (holder === undefined) return;
  terminal.line(['yellow', `  process ${holder.pid} is training this run; waiting for it`]);
  while (!stop.aborted && !(await waitForRelease(run.directory, 60_000, stop).catch(() => false)));
}

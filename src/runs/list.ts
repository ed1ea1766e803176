/** Experiments and runs as their folders show them. */

import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { foldEvents, type RunHistory, type RunState, runStateOf } from '../core/history.js';
import { readEvents } from './event-log.js';
import { lockHolder } from './lock.js';
import { openRun, type Run, runNames } from './run-folder.js';

export interface RunSummary {
  readonly run: Run;
  readonly state: RunState;
  readonly history: RunHistory;
  /** Lines of the log that are no events. */
  readonly skipped: number;
}

export async function summarizeRun(run: Run): Promise<RunSummary> {
  const { events, skipped } = await readEvents(run.events);
  const history = foldEvents(events);
  const state = runStateOf(history.status?.status, lockHolder(run.directory) !== undefined);
  return { run, state, history, skipped };
}

/** Folders of the experiments in an output folder. */
export async function listExperiments(outputDirectory: string): Promise<string[]> {
  const entries = await readdir(outputDirectory, { withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map((entry) => join(outputDirectory, entry.name))
    .sort();
}

/** Folders of all runs, the one that was active last first. */
export async function runsByActivity(outputDirectory: string): Promise<string[]> {
  const found: { directory: string; time: number }[] = [];
  for (const experiment of await listExperiments(outputDirectory)) {
    for (const name of await runNames(experiment)) {
      const directory = join(experiment, name);
      const times = await Promise.all(
        ['run.json', 'events.jsonl'].map((file) =>
          stat(join(directory, file)).then(
            ({ mtimeMs }) => mtimeMs,
            () => 0,
          ),
        ),
      );
      found.push({ directory, time: Math.max(...times) });
    }
  }
  return found
    .sort((a, b) => b.time - a.time || b.directory.localeCompare(a.directory))
    .map(({ directory }) => directory);
}

/** The run to resume when a person says `latest`: the one active last that is neither finished nor being trained. */
export async function latestUnfinished(outputDirectory: string): Promise<Run | undefined> {
  for (const directory of await runsByActivity(outputDirectory)) {
    const summary = await summarizeRun(await openRun(directory));
    if (summary.state !== 'finished' && summary.state !== 'running') return summary.run;
  }
  return undefined;
}

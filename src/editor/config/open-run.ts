/** Opens runs in their panel, where the panel is there. */

import { dirname, join } from 'node:path';
import * as vscode from 'vscode';
import type { Launched } from '../../launch/launcher.js';
import { runNamesInTurn } from '../../runs/run-folder.js';

/** The run panel's command: takes the folders of runs. */
const command = 'sft-lab.openRun';

/** More runs than these in one panel are too many to tell apart. */
const mostTogether = 24;

export async function openRuns(folders: readonly string[]): Promise<void> {
  const commands = await vscode.commands.getCommands(true);
  if (commands.includes(command)) await vscode.commands.executeCommand(command, folders);
}

/**
 * Opens what was started, once it has begun: a run, or all runs of a comparison together.
 *
 * @returns the folders of the runs
 * @throws LabError with what the trainer said, where it ended before
 */
export async function openLaunched(launched: Launched): Promise<readonly string[]> {
  const run = await launched.run;
  const folders = launched.kind === 'compare' ? await together(dirname(run)) : [];
  const shown = folders.length > 0 && folders.length <= mostTogether ? folders : [run];
  await openRuns(shown);
  return shown;
}

async function together(experiment: string): Promise<readonly string[]> {
  const names = await runNamesInTurn(experiment);
  return names.map((name) => join(experiment, name));
}

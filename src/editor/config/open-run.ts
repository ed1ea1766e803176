/** Opens a run in its panel, where the panel is there. */

import * as vscode from 'vscode';

/** The run panel's command: takes the folder of a run. */
const command = 'sft-lab.openRun';

export async function openRun(folder: string): Promise<void> {
  const commands = await vscode.commands.getCommands(true);
  if (commands.includes(command)) await vscode.commands.executeCommand(command, folder);
}

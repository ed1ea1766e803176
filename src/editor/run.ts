/**
 * Run on a `*.sft.json`: the trainer in a terminal of its own. A config with `compare` trains all its runs.
 *
 * Command: sft-lab.run. Does nothing in an untrusted workspace.
 */

import * as vscode from 'vscode';
import type { Services } from './services.js';

export function activate(context: vscode.ExtensionContext, services: Services): void {
  context.subscriptions.push(vscode.commands.registerCommand('sft-lab.run', (uri?: vscode.Uri) => run(services, uri)));
}

async function run({ launcher }: Services, chosen: vscode.Uri | undefined): Promise<void> {
  const config = chosen ?? vscode.window.activeTextEditor?.document.uri;
  if (config === undefined) return;
  if (!vscode.workspace.isTrusted) {
    await vscode.window.showWarningMessage('SFT Lab trains only in workspaces that you trust.');
    return;
  }
  const document = await vscode.workspace.openTextDocument(config);
  if (document.isDirty) await document.save();
  await launcher.start(config.fsPath, { compare: comparesRuns(document.getText()) });
}

/** Whether the config has axes of a comparison. What is wrong with it, the trainer says better. */
function comparesRuns(text: string): boolean {
  try {
    const config: unknown = JSON.parse(text);
    return typeof config === 'object' && config !== null && 'compare' in config;
  } catch {
    return false;
  }
}

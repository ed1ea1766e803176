/**
 * Run on a `*.sft.json`: the trainer in a terminal of its own. A config with `compare` trains all its runs.
 *
 * Command: sft-lab.run. Does nothing in an untrusted workspace.
 */

import { posix } from 'node:path';
import * as vscode from 'vscode';

export function activate(context: vscode.ExtensionContext): void {
  context.subscriptions.push(vscode.commands.registerCommand('sft-lab.run', (uri?: vscode.Uri) => run(context, uri)));
}

async function run(context: vscode.ExtensionContext, chosen: vscode.Uri | undefined): Promise<void> {
  const config = chosen ?? vscode.window.activeTextEditor?.document.uri;
  if (config === undefined) return;
  if (!vscode.workspace.isTrusted) {
    await vscode.window.showWarningMessage('SFT Lab trains only in workspaces that you trust.');
    return;
  }
  const document = await vscode.workspace.openTextDocument(config);
  if (document.isDirty) await document.save();
  const terminal = vscode.window.createTerminal({
    name: posix.basename(config.path),
    cwd: vscode.Uri.joinPath(config, '..'),
    // The editor's own Node, given its arguments one by one: no shell reads them.
    shellPath: process.execPath,
    shellArgs: [
      vscode.Uri.joinPath(context.extensionUri, 'dist', 'cli.js').fsPath,
      comparesRuns(document.getText()) ? 'compare' : 'train',
      config.fsPath,
    ],
    env: { ELECTRON_RUN_AS_NODE: '1' },
    iconPath: new vscode.ThemeIcon('beaker'),
  });
  terminal.show();
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

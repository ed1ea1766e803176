/**
 * Right-click on a data set → Fine-tune…: a run config for it, beside it, ready to be looked through and run.
 *
 * Command: sft-lab.fineTune. Never writes over a file; does nothing in an untrusted workspace.
 */

import { posix } from 'node:path';
import * as vscode from 'vscode';

export function activate(context: vscode.ExtensionContext): void {
  context.subscriptions.push(
    vscode.commands.registerCommand('sft-lab.fineTune', (uri?: vscode.Uri) => fineTune(context, uri)),
  );
}

async function fineTune(context: vscode.ExtensionContext, chosen: vscode.Uri | undefined): Promise<void> {
  const dataSet = chosen ?? vscode.window.activeTextEditor?.document.uri;
  if (dataSet === undefined) {
    await vscode.window.showInformationMessage(
      'Open a data set (.jsonl or .json), or right-click one in the explorer.',
    );
    return;
  }
  if (!vscode.workspace.isTrusted) {
    await vscode.window.showWarningMessage('SFT Lab trains only in workspaces that you trust.');
    return;
  }
  const target = await freeName(dataSet);
  const config = {
    model_name_or_path: vscode.Uri.joinPath(context.extensionUri, 'media', 'starter-model').fsPath,
    train_dataset: posix.basename(dataSet.path),
    test_size: 0.1,
    loss_on: 'completion',
    num_train_epochs: 3,
    per_device_train_batch_size: 16,
    learning_rate: 1e-3,
    lr_scheduler_type: 'cosine',
    warmup_ratio: 0.05,
  };
  const text = `${JSON.stringify(config, null, 2)}\n`;
  await vscode.workspace.fs.writeFile(target, new TextEncoder().encode(text));
  await vscode.window.showTextDocument(target);
}

/** `<data set>.sft.json`, with a number where that is taken. */
async function freeName(dataSet: vscode.Uri): Promise<vscode.Uri> {
  const folder = vscode.Uri.joinPath(dataSet, '..');
  const stem = posix.basename(dataSet.path).replace(/\.jsonl?$/, '');
  for (let number = 1; ; number++) {
    const name = number === 1 ? `${stem}.sft.json` : `${stem}-${number}.sft.json`;
    const candidate = vscode.Uri.joinPath(folder, name);
    try {
      await vscode.workspace.fs.stat(candidate);
    } catch {
      return candidate;
    }
  }
}

/** Command sft-lab.addExamples: copies the example data sets and their configs into the workspace. Never over a file. */

import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as vscode from 'vscode';
import { codeOf } from '../../core/errors.js';
import { starterName } from '../../data/models.js';

const dataSets = ['tickets.train.jsonl', 'tickets.eval.jsonl', 'arithmetic.train.jsonl', 'arithmetic.eval.jsonl'];
const configs = ['tickets.sft.json', 'arithmetic.sft.json'];

export async function addExamples(context: vscode.ExtensionContext): Promise<void> {
  const folders = vscode.workspace.workspaceFolders?.filter(({ uri }) => uri.scheme === 'file') ?? [];
  const folder =
    folders.length > 1
      ? await vscode.window.showWorkspaceFolderPick({ placeHolder: 'Folder for the example data sets' })
      : folders[0];
  if (folder === undefined) return;
  const from = join(context.extensionPath, 'media', 'examples');
  const to = folder.uri.fsPath;
  let kept = 0;
  const unlessThere = (error: unknown): void => {
    if (codeOf(error) !== 'EEXIST') throw error;
    kept++;
  };
  // 1: COPYFILE_EXCL.
  for (const name of dataSets) await copyFile(join(from, name), join(to, name), 1).catch(unlessThere);
  for (const name of configs) {
    const config: unknown = JSON.parse(await readFile(join(from, name), 'utf8'));
    // In the checkout the model and the runs lie elsewhere.
    const moved = { ...Object(config), model_name_or_path: starterName, output_dir: '.sft' };
    await writeFile(join(to, name), `${JSON.stringify(moved, null, 2)}\n`, { flag: 'wx' }).catch(unlessThere);
  }
  const data = vscode.Uri.joinPath(folder.uri, 'tickets.train.jsonl');
  await vscode.commands.executeCommand('revealInExplorer', data);
  const already = kept === 0 ? '' : ` ${kept} were there already and stay as they were.`;
  const fineTune = 'Fine-tune tickets…';
  const answer = await vscode.window.showInformationMessage(
    `Tickets (3,000 records) and arithmetic (3,000 records) are in ${folder.name}.${already}`,
    fineTune,
  );
  if (answer === fineTune) await vscode.commands.executeCommand('sft-lab.fineTune', data);
}

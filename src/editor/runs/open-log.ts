/** Opens what a run's terminal showed, at its end. */

import { join } from 'node:path';
import * as vscode from 'vscode';
import { LabError } from '../../core/errors.js';
import { exists } from '../../runs/run-folder.js';

/** @throws LabError where there is none */
export async function openLog(folder: string): Promise<void> {
  const file = join(folder, 'console.log');
  if (!(await exists(file))) {
    throw new LabError('has no log: it ended before its first event, or never began', { place: { file: folder } });
  }
  const editor = await vscode.window.showTextDocument(vscode.Uri.file(file), { preview: true });
  const last = editor.document.lineAt(editor.document.lineCount - 1).range;
  editor.selection = new vscode.Selection(last.end, last.end);
  editor.revealRange(last);
}

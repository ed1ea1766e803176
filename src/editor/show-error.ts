/** An error as a person sees it: what is theirs to mend in words, a defect of ours also in the log. */

import * as vscode from 'vscode';
import { formatError, LabError } from '../core/errors.js';
import { plainMessage } from './plain-message.js';

export function showError(output: vscode.LogOutputChannel, error: unknown): void {
  if (!(error instanceof LabError)) output.error(formatError(error));
  void vscode.window.showErrorMessage(plainMessage(error instanceof LabError ? formatError(error) : String(error)));
}

/** @throws LabError in a workspace that is not trusted: nothing is started there */
export function requireTrust(): void {
  if (vscode.workspace.isTrusted) return;
  throw new LabError('SFT Lab trains only in workspaces that you trust', {
    advice: 'Manage Workspace Trust, in the palette, changes that.',
  });
}

/** The extension: puts its features together. */

import type * as vscode from 'vscode';
import { activate as activateFineTune } from './editor/fine-tune.js';
import { activate as activateRun } from './editor/run.js';

export function activate(context: vscode.ExtensionContext): void {
  activateFineTune(context);
  activateRun(context);
}

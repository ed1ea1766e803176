/** What every surface of the editor is given. */

import type * as vscode from 'vscode';
import type { Launcher } from '../launch/launcher.js';
import type { RunStore } from './runs/store.js';

export interface Services {
  readonly runs: RunStore;
  readonly launcher: Launcher;
  readonly output: vscode.LogOutputChannel;
}

/** A surface: its folder's `index.ts` exports one of these, and `extension.ts` has a line for it. */
export type Register = (context: vscode.ExtensionContext, services: Services) => vscode.Disposable;

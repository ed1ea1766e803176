/** A view of one run or of several, in a tab of its own: opened by a command, found again where it is open, there after a reload. */

import * as vscode from 'vscode';
import type { Services } from '../services.js';
import { webviewOptions } from '../webview.js';
import { pickRuns } from './pick.js';

export interface RunsView extends vscode.Disposable {
  /** Whether it shows these runs and no others. */
  shows(folders: readonly string[]): boolean;
  reveal(): void;
  /** Shows what was at a step, where the view stands at one. */
  goTo?(step: number): void;
}

export interface RunsViewKind {
  readonly command: string;
  readonly viewType: string;
  readonly title: string;
  /** The runs' folders, in what the page kept. */
  folders(state: unknown): readonly string[];
  open(panel: vscode.WebviewPanel, folders: readonly string[]): RunsView;
}

export function registerRunsView(
  { extensionUri }: vscode.ExtensionContext,
  { runs }: Services,
  { command, viewType, title, folders, open }: RunsViewKind,
): vscode.Disposable {
  const views = new Set<RunsView>();
  const fill = (panel: vscode.WebviewPanel, shown: readonly string[]): RunsView => {
    const view = open(panel, shown);
    views.add(view);
    panel.onDidDispose(() => views.delete(view));
    return view;
  };
  const create = (shown: readonly string[]): RunsView =>
    fill(
      vscode.window.createWebviewPanel(viewType, title, vscode.ViewColumn.Active, webviewOptions(extensionUri)),
      shown,
    );
  return vscode.Disposable.from(
    vscode.commands.registerCommand(command, async (...wanted: unknown[]) => {
      const named = foldersOf(wanted);
      const chosen = named.length > 0 ? named : await pickRuns(runs);
      if (chosen.length === 0) return;
      const known = [...views].find((view) => view.shows(chosen));
      known?.reveal();
      const view = known ?? create(chosen);
      const step = wanted.find((one) => typeof one === 'number');
      if (step !== undefined) view.goTo?.(step);
    }),
    vscode.window.registerWebviewPanelSerializer(viewType, {
      deserializeWebviewPanel: async (panel, state: unknown) => void fill(panel, folders(state)),
    }),
    new vscode.Disposable(() => {
      for (const view of views) view.dispose();
    }),
  );
}

/** A command may be given a folder or a list of them. */
function foldersOf(wanted: readonly unknown[]): string[] {
  const named = wanted.flat().filter((one) => typeof one === 'string');
  return [...new Set(named)];
}

/**
 * The run panel: the curves of one run, or of many together.
 *
 * Command: sft-lab.openRun (the folder of a run, or several; without one it asks).
 */

import * as vscode from 'vscode';
import { panelState } from '../../core/view/run-panel.js';
import { pickRuns } from '../runs/pick.js';
import type { Register } from '../services.js';
import { webviewOptions } from '../webview.js';
import { RunPanel } from './run-panel.js';

const viewType = 'sft-lab.runPanel';

export const register: Register = (context, services) => {
  const panels = new Set<RunPanel>();
  const fill = (webviewPanel: vscode.WebviewPanel, folders: readonly string[]): void => {
    const panel = new RunPanel(webviewPanel, context, services, folders);
    panels.add(panel);
    webviewPanel.onDidDispose(() => panels.delete(panel));
  };
  return vscode.Disposable.from(
    vscode.commands.registerCommand('sft-lab.openRun', async (...wanted: unknown[]) => {
      const folders = foldersOf(wanted);
      const chosen = folders.length > 0 ? folders : await pickRuns(services.runs);
      if (chosen.length === 0) return;
      const open = [...panels].find((panel) => panel.shows(chosen));
      if (open !== undefined) {
        open.reveal();
        return;
      }
      const options = webviewOptions(context.extensionUri);
      fill(vscode.window.createWebviewPanel(viewType, 'Run', vscode.ViewColumn.Active, options), chosen);
    }),
    vscode.window.registerWebviewPanelSerializer(viewType, {
      deserializeWebviewPanel: async (panel, state: unknown) => {
        const kept = panelState.safeParse(state);
        fill(panel, kept.success ? kept.data.keys : []);
      },
    }),
    new vscode.Disposable(() => {
      for (const panel of panels) panel.dispose();
    }),
  );
};

/** A command may be given a folder, a list of them, or (from the tree) one and all that are selected. */
function foldersOf(wanted: readonly unknown[]): string[] {
  const named = wanted.flat().filter((one) => typeof one === 'string');
  return [...new Set(named)];
}

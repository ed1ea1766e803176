/** Asks which runs. */

import * as vscode from 'vscode';
import type { RunStore } from './store.js';

/** @param except folders that are not offered */
export async function pickRuns(runs: RunStore, except: ReadonlySet<string> = new Set()): Promise<string[]> {
  const items = runs.experiments().flatMap((experiment) => {
    const rows = experiment.runs.filter(({ folder }) => !except.has(folder));
    if (rows.length === 0) return [];
    return [
      { label: experiment.name, kind: vscode.QuickPickItemKind.Separator, folder: '' },
      ...rows.map(({ folder, label, state, step, totalSteps }) => ({
        label,
        description: `${state}, step ${step}${totalSteps > 0 ? ` of ${totalSteps}` : ''}`,
        folder,
      })),
    ];
  });
  if (items.length === 0) {
    await vscode.window.showInformationMessage('There are no runs in this workspace yet. Fine-tune a data set first.');
    return [];
  }
  const chosen = await vscode.window.showQuickPick(items, {
    canPickMany: true,
    matchOnDescription: true,
    title: 'Runs to show together',
  });
  return (chosen ?? []).map(({ folder }) => folder).filter((folder) => folder !== '');
}

/** Asks which runs. */

import * as vscode from 'vscode';
import type { RunStore } from './store.js';

export interface PickOptions {
  readonly title?: string;
  /** Folders that are not offered. */
  readonly except?: ReadonlySet<string>;
  /** Whether several may be chosen. */
  readonly many?: boolean;
}

export async function pickRuns(
  runs: RunStore,
  { title = 'Runs to show together', except = new Set(), many = true }: PickOptions = {},
): Promise<string[]> {
  const items = runs.experiments().flatMap((experiment) => {
    const rows = experiment.runs.filter(({ folder }) => !except.has(folder));
    if (rows.length === 0) return [];
    return [
      { label: experiment.label, kind: vscode.QuickPickItemKind.Separator, folder: '' },
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
  const options = { matchOnDescription: true, title };
  const chosen = many
    ? await vscode.window.showQuickPick(items, { ...options, canPickMany: true })
    : await vscode.window.showQuickPick(items, options).then((one) => (one === undefined ? [] : [one]));
  return (chosen ?? []).map(({ folder }) => folder).filter((folder) => folder !== '');
}

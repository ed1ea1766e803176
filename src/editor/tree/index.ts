/** The sidebar: experiments → runs → checkpoints. */

import * as vscode from 'vscode';
import type { Services } from '../services.js';

export function register(_context: vscode.ExtensionContext, { runs }: Services): vscode.Disposable {
  const changed = new vscode.EventEmitter<undefined>();
  const provider: vscode.TreeDataProvider<string> = {
    onDidChangeTreeData: changed.event,
    getChildren: (folder) =>
      folder === undefined
        ? runs.experiments().map((one) => one.folder)
        : (runs.experiments().find((one) => one.folder === folder)?.runs ?? []).map((run) => run.folder),
    getTreeItem: (folder) => {
      const run = runs.get(folder);
      const item = new vscode.TreeItem(
        run?.label ?? folder.split('/').at(-1) ?? folder,
        run === undefined ? vscode.TreeItemCollapsibleState.Expanded : vscode.TreeItemCollapsibleState.None,
      );
      if (run !== undefined) item.description = `${run.state} ${run.step}/${run.totalSteps}`;
      return item;
    },
  };
  return vscode.Disposable.from(
    runs.onDidChange(() => changed.fire(undefined)),
    vscode.window.createTreeView('sft-lab.runs', { treeDataProvider: provider }),
  );
}

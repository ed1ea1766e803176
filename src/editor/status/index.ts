/** The status bar: how far the runs under way are. */

import * as vscode from 'vscode';
import type { Services } from '../services.js';

export function register(_context: vscode.ExtensionContext, { runs }: Services): vscode.Disposable {
  const item = vscode.window.createStatusBarItem('sft-lab.progress', vscode.StatusBarAlignment.Left, 50);
  item.name = 'SFT Lab';
  const show = (): void => {
    const [first] = runs.live();
    if (first === undefined) {
      item.hide();
      return;
    }
    item.text = `$(beaker) ${first.step}/${first.totalSteps}`;
    item.show();
  };
  show();
  return vscode.Disposable.from(item, runs.onDidChange(show));
}

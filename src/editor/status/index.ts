/**
 * The status bar: how far the runs under way are, and how long they still take. Hidden when nothing is being trained.
 *
 * Command: sft-lab.openLive (the run under way in its panel; of several it asks which).
 */

import * as vscode from 'vscode';
import { remainingSeconds } from '../../core/progress.js';
import { formatDuration } from '../../core/units.js';
import type { RunRow, RunStore } from '../runs/store.js';
import type { Register } from '../services.js';
import { describeRun, statusText } from './words.js';

const command = 'sft-lab.openLive';

export const register: Register = (_context, { runs }) => {
  const item = vscode.window.createStatusBarItem('sft-lab.progress', vscode.StatusBarAlignment.Left, 50);
  item.name = 'SFT Lab: Runs';
  item.command = command;
  let shown = false;
  const show = (): void => {
    const live = runs.live();
    if (live.length === 0) {
      if (shown) item.hide();
      shown = false;
      return;
    }
    const text = statusText(live, placeInComparison(runs, live));
    item.text = `$(beaker) ${text}`;
    item.accessibilityInformation = { label: `SFT Lab: training, ${text}` };
    item.tooltip = tooltipOf(live);
    if (!shown) item.show();
    shown = true;
  };
  show();
  return vscode.Disposable.from(
    item,
    runs.onDidChange(show),
    vscode.commands.registerCommand(command, () => open(runs)),
  );
};

/** Which run of how many, where the only one is part of a comparison under way. */
function placeInComparison(runs: RunStore, live: readonly RunRow[]): string | undefined {
  const [only] = live;
  if (only === undefined || live.length > 1) return undefined;
  const experiment = runs.experiment(only.experimentFolder);
  if (experiment?.holder === undefined || experiment.comparison === undefined) return undefined;
  const { runs: planned, baseline } = experiment.comparison;
  const names = [...(baseline === null ? [] : [baseline]), ...planned.map(({ name }) => name)];
  const at = names.indexOf(only.name);
  return at === -1 ? undefined : `run ${at + 1} of ${names.length}`;
}

/** Names are strangers': only ever appended as text. */
function tooltipOf(live: readonly RunRow[]): vscode.MarkdownString {
  const tooltip = new vscode.MarkdownString();
  for (const row of live) {
    tooltip.appendMarkdown('**').appendText(row.label).appendMarkdown('** · ').appendText(row.experimentLabel);
    tooltip.appendMarkdown('  \n').appendText(describeRun(row)).appendMarkdown('\n\n');
  }
  return tooltip.appendMarkdown(live.length === 1 ? 'Click to open the run.' : 'Click to choose a run.');
}

async function open(runs: RunStore): Promise<void> {
  const live = runs.live();
  const [first] = live;
  if (first === undefined) {
    await vscode.window.showInformationMessage('Nothing is being trained now.');
    return;
  }
  const openRuns = (folders: readonly string[]): Thenable<unknown> =>
    vscode.commands.executeCommand('sft-lab.openRun', folders);
  if (live.length === 1) {
    await openRuns([first.folder]);
    return;
  }
  const items = live.map((row) => {
    const left = remainingSeconds(row);
    return {
      label: row.label,
      description: `${row.experimentLabel}${left === null ? '' : ` · ${formatDuration(left)} left`}`,
      folders: [row.folder],
    };
  });
  const together = {
    label: '$(graph-line) All of them together',
    description: '',
    folders: live.map((row) => row.folder),
  };
  const picked = await vscode.window.showQuickPick([...items, together], { title: 'Runs under way' });
  if (picked !== undefined) await openRuns(picked.folders);
}

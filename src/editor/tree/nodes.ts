/** What stands in the sidebar: experiments, their runs, and the runs' checkpoints. */

import * as vscode from 'vscode';
import { formatProgress, remainingSeconds } from '../../core/progress.js';
import { formatDuration } from '../../core/units.js';
import type { Checkpoint } from '../../runs/checkpoints.js';
import type { ExperimentRow, RunRow } from '../runs/store.js';

export type Node =
  | { readonly kind: 'experiment'; readonly folder: string }
  | { readonly kind: 'run'; readonly folder: string }
  | { readonly kind: 'checkpoint'; readonly folder: string; readonly run: string; readonly step: number };

const icon = (name: string, color?: string): vscode.ThemeIcon =>
  new vscode.ThemeIcon(name, color === undefined ? undefined : new vscode.ThemeColor(color));
const icons: Readonly<Record<RunRow['state'], vscode.ThemeIcon>> = {
  queued: icon('clock'),
  running: icon('sync~spin', 'charts.blue'),
  finished: icon('pass', 'charts.green'),
  stopped: icon('debug-pause'),
  interrupted: icon('warning', 'charts.yellow'),
  failed: icon('error', 'charts.red'),
};

/** Of what is selected, as a row is that was clicked: a command with a run of its own costs the editor more than the rest of the row. */
const openSelected: vscode.Command = { command: 'sft-lab.runs.open', title: 'Open Run' };

const resumable: ReadonlySet<RunRow['state']> = new Set(['interrupted', 'stopped', 'failed', 'queued']);

export function isResumable(state: RunRow['state']): boolean {
  return resumable.has(state);
}

/** What of an experiment changes with its runs: which entries its menu has. */
export function contextOf({ holder, runs }: ExperimentRow): string {
  if (holder !== undefined) return 'experiment.running';
  return runs.some(({ state }) => isResumable(state)) ? 'experiment.unfinished' : 'experiment';
}

/** @param shown runs of it that are listed */
export function experimentItem(row: ExperimentRow, shown: number, open: boolean): vscode.TreeItem {
  const { Expanded, Collapsed } = vscode.TreeItemCollapsibleState;
  const item = new vscode.TreeItem(row.label, open ? Expanded : Collapsed);
  item.contextValue = contextOf(row);
  item.iconPath = new vscode.ThemeIcon('beaker');
  const all = row.runs.length;
  item.description = shown === all ? runs(all) : `${shown} of ${runs(all)}`;
  return item;
}

export function runItem(row: RunRow): vscode.TreeItem {
  const item = new vscode.TreeItem(row.label, vscode.TreeItemCollapsibleState.Collapsed);
  item.id = row.folder;
  item.contextValue = `run.${row.state}`;
  item.iconPath = icons[row.state];
  const description = describe(row);
  item.description = description;
  item.accessibilityInformation = { label: `${row.label}, ${row.state}, ${description}` };
  item.command = openSelected;
  return item;
}

export function checkpointItem({ directory, step }: Checkpoint): vscode.TreeItem {
  const item = new vscode.TreeItem(`Step ${step.toLocaleString('en-US')}`);
  item.id = directory;
  item.contextValue = 'checkpoint';
  item.iconPath = new vscode.ThemeIcon('save');
  return item;
}

/** Progress while it trains; else its best figure. */
function describe(row: RunRow): string {
  const parts: string[] = [];
  if (row.state === 'running') {
    parts.push(formatProgress(row));
    const left = remainingSeconds(row);
    if (left !== null) parts.push(`${formatDuration(left)} left`);
  } else if (row.state !== 'finished') {
    parts.push(row.state);
  }
  if (row.best !== undefined) parts.push(figure(row.best));
  else if (row.loss !== undefined) parts.push(`loss ${row.loss.toFixed(4)}`);
  return parts.join(' · ');
}

function figure({ metric, value }: NonNullable<RunRow['best']>): string {
  return metric === 'accuracy' ? `${(100 * value).toFixed(1)} %` : `loss ${value.toFixed(4)}`;
}

/** As plain text: names and reasons are strangers'. */
export function tooltipOf(row: RunRow): string {
  const lines = [row.label, `${row.state}, step ${row.step}${row.totalSteps > 0 ? ` of ${row.totalSteps}` : ''}`];
  if (row.best !== undefined) lines.push(`best ${figure(row.best)} on ${row.best.set} at step ${row.best.step}`);
  if (row.reason !== undefined) lines.push(row.reason);
  lines.push(row.folder);
  return lines.join('\n');
}

function runs(count: number): string {
  return `${count.toLocaleString('en-US')} ${count === 1 ? 'run' : 'runs'}`;
}

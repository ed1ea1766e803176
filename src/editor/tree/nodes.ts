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

const icons: Readonly<Record<RunRow['state'], readonly [string, string?]>> = {
  queued: ['clock'],
  running: ['sync~spin', 'charts.blue'],
  finished: ['pass', 'charts.green'],
  stopped: ['debug-pause'],
  interrupted: ['warning', 'charts.yellow'],
  failed: ['error', 'charts.red'],
};

const resumable: ReadonlySet<RunRow['state']> = new Set(['interrupted', 'stopped', 'failed', 'queued']);

export function isResumable(state: RunRow['state']): boolean {
  return resumable.has(state);
}

export function experimentItem(row: ExperimentRow, shown: number): vscode.TreeItem {
  const item = new vscode.TreeItem(row.label, vscode.TreeItemCollapsibleState.Expanded);
  item.id = row.folder;
  const unfinished = row.runs.some(({ state }) => isResumable(state));
  item.contextValue =
    row.holder !== undefined ? 'experiment.running' : unfinished ? 'experiment.unfinished' : 'experiment';
  item.iconPath = new vscode.ThemeIcon('beaker');
  const all = row.runs.length;
  item.description = shown === all ? runs(all) : `${shown} of ${runs(all)}`;
  item.tooltip = row.folder;
  return item;
}

export function runItem(row: RunRow): vscode.TreeItem {
  const item = new vscode.TreeItem(row.label, vscode.TreeItemCollapsibleState.Collapsed);
  item.id = row.folder;
  item.contextValue = `run.${row.state}`;
  const [icon, color] = icons[row.state];
  item.iconPath = new vscode.ThemeIcon(icon, color === undefined ? undefined : new vscode.ThemeColor(color));
  item.description = describe(row);
  item.tooltip = tooltipOf(row);
  item.accessibilityInformation = { label: `${row.label}, ${row.state}, ${describe(row)}` };
  item.command = { command: 'sft-lab.openRun', title: 'Open Run', arguments: [row.folder] };
  return item;
}

export function checkpointItem({ directory, step }: Checkpoint): vscode.TreeItem {
  const item = new vscode.TreeItem(`Step ${step.toLocaleString('en-US')}`);
  item.id = directory;
  item.contextValue = 'checkpoint';
  item.iconPath = new vscode.ThemeIcon('save');
  item.tooltip = directory;
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
function tooltipOf(row: RunRow): string {
  const lines = [row.label, `${row.state}, step ${row.step}${row.totalSteps > 0 ? ` of ${row.totalSteps}` : ''}`];
  if (row.best !== undefined) lines.push(`best ${figure(row.best)} on ${row.best.set} at step ${row.best.step}`);
  if (row.reason !== undefined) lines.push(row.reason);
  lines.push(row.folder);
  return lines.join('\n');
}

function runs(count: number): string {
  return `${count.toLocaleString('en-US')} ${count === 1 ? 'run' : 'runs'}`;
}

/**
 * The sidebar: experiments → runs → checkpoints, and what can be done with them.
 *
 * Commands: sft-lab.runs.* (see package.json); what they are given is a node of the tree and all that are selected.
 */

import { join } from 'node:path';
import * as vscode from 'vscode';
import { LabError } from '../../core/errors.js';
import { quoted } from '../../core/shell-words.js';
import { openLog } from '../runs/open-log.js';
import type { RunRow } from '../runs/store.js';
import type { Register, Services } from '../services.js';
import { requireTrust, showError } from '../show-error.js';
import type { Order } from './listing.js';
import { isResumable, type Node } from './nodes.js';
import { RunTree } from './provider.js';
import { rename } from './rename.js';

export const register: Register = (context, services) => {
  const { runs } = services;
  const tree = new RunTree(runs);
  const view = vscode.window.createTreeView('sft-lab.runs', {
    treeDataProvider: tree,
    canSelectMany: true,
    showCollapseAll: true,
  });
  const nodesOf = (node?: Node, all?: readonly Node[]): readonly Node[] =>
    all !== undefined && all.length > 0 ? all : node !== undefined ? [node] : view.selection;
  const command = (id: string, work: (nodes: readonly Node[]) => Promise<void>): vscode.Disposable =>
    vscode.commands.registerCommand(`sft-lab.runs.${id}`, (node?: Node, all?: readonly Node[]) =>
      work(nodesOf(node, all)).catch((error: unknown) => showError(services.output, error)),
    );
  const rowsOf = (nodes: readonly Node[]): RunRow[] => foldersOf(services, nodes).flatMap((one) => runs.get(one) ?? []);

  return vscode.Disposable.from(
    tree,
    view,
    command('open', async (nodes) => {
      await vscode.commands.executeCommand('sft-lab.openRun', foldersOf(services, nodes));
    }),
    command('samples', async (nodes) => {
      const [only] = nodes;
      const at = nodes.length === 1 && only?.kind === 'checkpoint' ? [only.step] : [];
      await vscode.commands.executeCommand('sft-lab.openSamples', foldersOf(services, nodes), ...at);
    }),
    command('stop', async (nodes) => {
      // A comparison is stopped as a whole: with its run alone it would go on with the next.
      const comparisons = runs.experiments().filter(({ holder }) => holder !== undefined);
      const chosen = comparisons.filter(({ folder }) => nodes.some((node) => node.folder === folder));
      for (const { folder } of chosen) await services.launcher.stop(folder);
      if (chosen.length > 0) return;
      for (const { folder } of rowsOf(nodes).filter(({ state }) => state === 'running'))
        await services.launcher.stop(folder);
    }),
    command('resume', async (nodes) => {
      requireTrust();
      const unfinished = (folder: string) => runs.experiment(folder)?.runs.some(({ state }) => isResumable(state));
      const experiments = nodes.flatMap(({ kind, folder }) =>
        kind === 'experiment' && unfinished(folder) === true ? [folder] : [],
      );
      const alone = rowsOf(nodes.filter(({ kind }) => kind !== 'experiment'))
        .filter(({ state, experimentFolder }) => isResumable(state) && !experiments.includes(experimentFolder))
        .map(({ folder }) => folder);
      const [first, ...more] = [...alone, ...experiments];
      if (first === undefined) return;
      // One process for all, one run after the other: at once, each would take more than its share of memory and time.
      if (alone.length === 0) await services.launcher.resumeExperiments(first, ...more);
      else await services.launcher.resume(first, ...more);
    }),
    command('openConfig', async (nodes) => {
      for (const { folder } of rowsOf(nodes)) await show(join(folder, 'run.json'));
    }),
    command('openLog', async (nodes) => {
      for (const { folder } of rowsOf(nodes)) await openLog(folder);
    }),
    command('rename', async ([node]) => {
      if (node !== undefined) await rename(services, node);
    }),
    command('duplicate', async (nodes) => {
      const [row] = rowsOf(nodes);
      if (row !== undefined) await duplicate(row);
    }),
    command('reveal', async (nodes) => {
      const [node] = nodes;
      if (node !== undefined) await vscode.commands.executeCommand('revealInExplorer', vscode.Uri.file(node.folder));
    }),
    command('copyPath', async (nodes) => {
      await vscode.env.clipboard.writeText(nodes.map(({ folder }) => folder).join('\n'));
    }),
    command('copyCommand', async (nodes) => {
      const program = join(context.extensionPath, 'dist', 'cli.js');
      const lines = rowsOf(nodes).map(({ folder }) => ['node', program, 'resume', folder].map(quoted).join(' '));
      await vscode.env.clipboard.writeText(lines.join('\n'));
    }),
    command('delete', async (nodes) => {
      await moveToTrash(services, nodes, rowsOf(nodes));
    }),
    command('refresh', () => runs.refresh()),
    command('filter', async () => {
      const text = await vscode.window.showInputBox({
        title: 'Filter runs',
        prompt: 'Words of a run’s name, its experiment or its state; empty: all',
        value: tree.filter,
      });
      if (text === undefined) return;
      tree.filter = text.trim();
      view.message = tree.filter === '' ? '' : `Filtered by “${tree.filter}”`;
    }),
    command('sort', async () => {
      const picked = await vscode.window.showQuickPick(
        orders.map(([order, label]) => ({ label, order, description: order === tree.order ? 'now' : '' })),
        { title: 'Sort runs' },
      );
      if (picked !== undefined) tree.order = picked.order;
    }),
  );
};

const orders: readonly (readonly [Order, string])[] = [
  ['created', 'Oldest first'],
  ['name', 'Name'],
  ['best', 'Best figure first'],
  ['state', 'State'],
];

/** Runs that are meant: an experiment stands for all of its own, a checkpoint for its run. */
function foldersOf({ runs }: Services, nodes: readonly Node[]): string[] {
  const folders = nodes.flatMap((node) => {
    if (node.kind === 'run') return [node.folder];
    if (node.kind === 'checkpoint') return [node.run];
    const row = runs.experiment(node.folder);
    return row?.runs.map(({ folder }) => folder) ?? [];
  });
  return [...new Set(folders)];
}

async function show(file: string): Promise<void> {
  await vscode.window.showTextDocument(vscode.Uri.file(file), { preview: true });
}

/** The run's config in a new, unsaved file: changed, saved and run, it makes another run. */
async function duplicate({ config, name }: RunRow): Promise<void> {
  const { run_name: _name, ...rest } = config;
  const content = `${JSON.stringify({ ...rest, run_name: `${name} copy` }, null, 2)}\n`;
  const document = await vscode.workspace.openTextDocument({ language: 'json', content });
  await vscode.window.showTextDocument(document);
}

async function moveToTrash({ runs }: Services, nodes: readonly Node[], rows: readonly RunRow[]): Promise<void> {
  const live = rows.find(({ state }) => state === 'running');
  if (live !== undefined) throw new LabError(`${live.label} is being trained`, { advice: 'Stop it first.' });
  const held = runs
    .experiments()
    .find(({ folder, holder }) => holder !== undefined && nodes.some((one) => one.folder === folder));
  if (held !== undefined) throw new LabError(`${held.label} is a comparison under way`, { advice: 'Stop it first.' });
  if (nodes.length === 0) return;
  const what = nodes.length === 1 ? (nodes[0]?.folder ?? '') : `${nodes.length} folders`;
  const sure = await vscode.window.showWarningMessage(
    `Move ${what} to the trash?`,
    { modal: true, detail: 'Checkpoints go with it.' },
    'Move to Trash',
  );
  if (sure === undefined) return;
  for (const { folder } of nodes) await trash(vscode.Uri.file(folder));
  await runs.refresh();
}

/** Where there is no trash (a server often has none), a person is asked once more: nothing goes for good unasked. */
async function trash(folder: vscode.Uri): Promise<void> {
  try {
    await vscode.workspace.fs.delete(folder, { recursive: true, useTrash: true });
  } catch {
    const sure = await vscode.window.showWarningMessage(
      `There is no trash here. Delete ${folder.fsPath} for good?`,
      { modal: true },
      'Delete',
    );
    if (sure !== undefined) await vscode.workspace.fs.delete(folder, { recursive: true, useTrash: false });
  }
}

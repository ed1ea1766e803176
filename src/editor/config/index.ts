/**
 * Run configs (`*.sft.json`): Run · Compare · Open run above the text, and problems on their lines. Completion, hover and
 * validation come from the JSON Schema that package.json names.
 *
 * Commands: sft-lab.run, sft-lab.compare, sft-lab.openRunOfConfig. Nothing is started in an untrusted workspace.
 */

import { dirname } from 'node:path';
import * as vscode from 'vscode';
import { parseConfig } from '../../core/config-parse.js';
import { formatError, LabError } from '../../core/errors.js';
import { comparisonAxes } from '../../core/form-config.js';
import type { Register, Services } from '../services.js';
import { ConfigDiagnostics } from './diagnostics.js';
import { ConfigLenses, destinationOf, newestRun } from './lenses.js';
import { openLaunched, openRuns } from './open-run.js';

export const register: Register = (_context, services) => {
  const command = (id: string, work: (file: string) => Promise<void>): vscode.Disposable =>
    vscode.commands.registerCommand(id, (uri?: unknown) => withConfig(services, uri, work));
  return vscode.Disposable.from(
    new ConfigDiagnostics(services.output),
    new ConfigLenses(services.runs),
    command('sft-lab.run', (file) => run(services, file)),
    command('sft-lab.compare', (file) => compare(services, file)),
    command('sft-lab.openRunOfConfig', async (file) => {
      const newest = newestRun(services.runs, file, await textOf(file));
      if (newest === undefined) throw new LabError('No run was started from this config yet.');
      await openRuns([newest.folder]);
    }),
  );
};

/** The config that was chosen, or is being edited, saved. */
async function withConfig({ output }: Services, chosen: unknown, work: (file: string) => Promise<void>): Promise<void> {
  const uri = chosen instanceof vscode.Uri ? chosen : vscode.window.activeTextEditor?.document.uri;
  if (uri === undefined || !uri.path.endsWith('.sft.json')) {
    await vscode.window.showInformationMessage('Open a run config (*.sft.json), or right-click one in the explorer.');
    return;
  }
  if (!vscode.workspace.isTrusted) {
    await vscode.window.showWarningMessage('SFT Lab trains only in workspaces that you trust.');
    return;
  }
  try {
    const document = await vscode.workspace.openTextDocument(uri);
    if (document.isDirty && !(await document.save())) return;
    await work(uri.fsPath);
  } catch (error) {
    if (!(error instanceof LabError)) output.error(formatError(error));
    await vscode.window.showErrorMessage(error instanceof LabError ? formatError(error) : String(error));
  }
}

/** One run with the values of the config; axes of a comparison are left for *Compare*. */
async function run({ launcher }: Services, file: string): Promise<void> {
  const { compare: axes, ...config } = await read(file);
  const launched = await launcher.start(axes === undefined ? file : { config, folder: dirname(file) });
  await openLaunched(launched);
}

/** The axes of the config; without any, those that the form's comparison has. */
async function compare({ launcher }: Services, file: string): Promise<void> {
  const config = await read(file);
  const { loss_on, num_train_epochs } = comparisonAxes;
  const standard = { loss_on: [...loss_on], num_train_epochs: [...num_train_epochs] };
  const started =
    config.compare === undefined ? { config: { ...config, compare: standard }, folder: dirname(file) } : file;
  const launched = await launcher.start(started, { compare: true });
  await openLaunched(launched);
}

/** @throws LabError with the line of what is wrong */
async function read(file: string): Promise<ReturnType<typeof parseConfig>> {
  const text = await textOf(file);
  // A config that is started from no file of its own still has the file's name.
  return { ...parseConfig(text, file), experiment: destinationOf(file, text).experiment };
}

async function textOf(file: string): Promise<string> {
  return (await vscode.workspace.openTextDocument(vscode.Uri.file(file))).getText();
}

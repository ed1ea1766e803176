/** The form in its panel: what a person does there, done. */

import { access, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import * as vscode from 'vscode';
import type { ConfigDataSource, RunConfigInput } from '../../core/config.js';
import { formatError, LabError } from '../../core/errors.js';
import { comparisonAxes } from '../../core/form-config.js';
import { type FromForm, fromForm } from '../../core/view/form.js';
import { describeModel } from '../../data/models.js';
import { openLaunched, openRuns } from '../config/open-run.js';
import type { Services } from '../services.js';
import { onViewMessage } from '../webview.js';
import { absolutePath, configPath, dataSetEndings, modelChoice, stemOf } from './choices.js';
import { type MeasurerOptions, measureConfig } from './measurer.js';
import { FormSession, type FormSetting } from './session.js';

export class FormPanel {
  private readonly session: FormSession;
  private readonly watcher: vscode.FileSystemWatcher;
  private started: readonly string[] = [];

  constructor(
    private readonly panel: vscode.WebviewPanel,
    private readonly setting: FormSetting,
    private readonly services: Services,
    trainer: MeasurerOptions,
  ) {
    const { runs, output } = services;
    this.session = new FormSession(setting, {
      measure: (config, folder, signal) => measureConfig(trainer, config, folder, signal),
      measuresAlone: () => vscode.workspace.getConfiguration('sft-lab').get('measureAutomatically', true),
      busy: () => runs.live().length > 0,
      show: (state) => void panel.webview.postMessage(state),
      note: (error) => output.error(formatError(error)),
    });
    onViewMessage(
      panel.webview,
      fromForm,
      (message) => void this.receive(message).catch((error) => this.fail(error)),
      (text) => output.warn(text),
    );
    // Whoever mends a record sees it here at once.
    this.watcher = vscode.workspace.createFileSystemWatcher(
      new vscode.RelativePattern(vscode.Uri.file(dirname(setting.file)), '*'),
    );
    const look = ({ fsPath }: vscode.Uri): void => {
      const { evaluation } = this.session.current;
      if (fsPath === setting.file || fsPath === absolutePath(evaluation, this.folder)) this.session.readAgain();
    };
    this.watcher.onDidChange(look);
    this.watcher.onDidCreate(look);
    this.watcher.onDidDelete(look);
    this.session.begin();
  }

  reveal(): void {
    this.panel.reveal();
  }

  dispose(): void {
    this.panel.dispose();
  }

  /** The panel went. A run that was started goes on. */
  close(): void {
    this.watcher.dispose();
    this.session.close();
  }

  private async receive(message: FromForm): Promise<void> {
    switch (message.type) {
      case 'ready':
        return this.session.push();
      case 'set':
        return this.session.set(message.key, message.value);
      case 'preset':
        return this.session.applyPreset(message.id);
      case 'measure':
        return this.session.measureNow();
      case 'pickModel':
        return this.pickModel();
      case 'pickEvaluation':
        return this.pickEvaluation();
      case 'start':
        return this.start(message.compare);
      case 'save':
        return this.save();
      case 'openRun':
        if (this.started.length > 0) await openRuns(this.started);
        return;
      case 'preview':
        await vscode.commands.executeCommand('sft-lab.preview', vscode.Uri.file(this.setting.file));
        return;
      case 'reveal':
        return this.showPlace(message.file, message.line);
    }
  }

  private get folder(): string {
    return dirname(this.setting.file);
  }

  private get root(): string | undefined {
    return vscode.workspace.getWorkspaceFolder(vscode.Uri.file(this.setting.file))?.uri.fsPath;
  }

  private async pickModel(): Promise<void> {
    const picked = await vscode.window.showOpenDialog({
      canSelectFiles: false,
      canSelectFolders: true,
      openLabel: 'Use this model',
      title: 'Folder of a Hugging Face model (config.json, safetensors, tokenizer.json)',
    });
    const folder = picked?.[0]?.fsPath;
    if (folder === undefined) return;
    const model = await describeModel(folder, configPath(folder, this.folder, this.root));
    if (model.problem !== undefined) {
      await vscode.window.showErrorMessage(`${basename(folder)} cannot be fine-tuned: ${model.problem}.`);
      return;
    }
    this.session.offer('model_name_or_path', modelChoice(model), model.parameters);
  }

  private async pickEvaluation(): Promise<void> {
    const picked = await vscode.window.showOpenDialog({
      openLabel: 'Evaluate on this file',
      defaultUri: vscode.Uri.file(this.folder),
      filters: { 'Data sets': [...dataSetEndings] },
    });
    const file = picked?.[0]?.fsPath;
    if (file === undefined) return;
    const value = configPath(file, this.folder, this.root);
    this.session.offer('evaluation', { value, label: basename(file), detail: value });
  }

  private async start(compare: boolean): Promise<void> {
    const config = this.session.config();
    if (config === undefined) return;
    if (!vscode.workspace.isTrusted) throw new LabError('SFT Lab trains only in workspaces that you trust.');
    const what = compare ? 'comparison' : 'run';
    this.session.rest();
    this.session.showActivity({ kind: 'starting', what });
    const launched = await this.services.launcher.start(
      { config: compare ? comparisonOf(config) : config, folder: this.folder },
      { compare },
    );
    const folder = await launched.run;
    this.session.showActivity({ kind: 'started', what, folder, name: basename(compare ? dirname(folder) : folder) });
    this.started = await openLaunched(launched);
  }

  /** Beside the data set, under a name that is free; never over a file unasked. */
  private async save(): Promise<void> {
    const config = this.session.config();
    if (config === undefined) return;
    const target = await vscode.window.showSaveDialog({
      defaultUri: vscode.Uri.file(await freeName(this.folder, stemOf(this.setting.file))),
      filters: { 'SFT Lab run config': ['json'] },
      title: 'Save run config',
    });
    if (target === undefined) return;
    const named = /\.sft\.json$/i.test(target.fsPath);
    const file = named ? target.fsPath : `${target.fsPath.replace(/\.json$/i, '')}.sft.json`;
    // The dialog asks before a file is replaced, but not for the name that this one becomes.
    const flag = named ? 'w' : 'wx';
    await writeFile(file, `${JSON.stringify(this.moved(config, dirname(file)), null, 2)}\n`, { flag });
    this.session.showActivity({ kind: 'saved', name: basename(file) });
    await vscode.window.showTextDocument(vscode.Uri.file(file), { preview: false });
  }

  /** The config with paths as they are meant from another folder. */
  private moved(config: RunConfigInput, folder: string): RunConfigInput {
    if (folder === this.folder) return config;
    const path = (text: string): string => configPath(absolutePath(text, this.folder), folder, this.root);
    const { train_dataset: train, eval_dataset: evaluation, output_dir: output, model_name_or_path: model } = config;
    const isFolder = this.setting.models.every(({ value }) => value !== model) || /^\.|^\//.test(model);
    return {
      ...config,
      ...(isFolder ? { model_name_or_path: path(model) } : {}),
      train_dataset: isSource(train)
        ? { ...train, path: path(train.path) }
        : typeof train === 'string'
          ? path(train)
          : train,
      ...(typeof evaluation === 'string' ? { eval_dataset: path(evaluation) } : {}),
      ...(isSource(evaluation) ? { eval_dataset: { ...evaluation, path: path(evaluation.path) } } : {}),
      output_dir: path(output ?? '.sft'),
    };
  }

  private async showPlace(file: string, line: number): Promise<void> {
    const known = [this.setting.file, ...this.setting.evaluations.map(({ value }) => absolutePath(value, this.folder))];
    if (!known.includes(file)) return;
    const at = new vscode.Range(line - 1, 0, line - 1, 0);
    await vscode.window.showTextDocument(vscode.Uri.file(file), {
      selection: at,
      viewColumn: vscode.ViewColumn.Beside,
    });
  }

  private fail(error: unknown): void {
    if (!(error instanceof LabError)) this.services.output.error(formatError(error));
    this.session.showActivity({
      kind: 'failed',
      message: error instanceof LabError ? formatError(error) : String(error),
    });
  }
}

function isSource(value: unknown): value is ConfigDataSource {
  return typeof value === 'object' && value !== null && 'path' in value && typeof value.path === 'string';
}

/** Without a name of its own: each run of a comparison is named by what sets it apart. */
function comparisonOf({ run_name: _name, ...config }: RunConfigInput): RunConfigInput {
  const { loss_on, num_train_epochs } = comparisonAxes;
  return { ...config, compare: { loss_on: [...loss_on], num_train_epochs: [...num_train_epochs] } };
}

async function freeName(folder: string, stem: string): Promise<string> {
  for (let number = 1; ; number++) {
    const file = join(folder, `${stem}${number === 1 ? '' : `-${number}`}.sft.json`);
    const taken = await access(file).then(
      () => true,
      () => false,
    );
    if (!taken) return file;
  }
}

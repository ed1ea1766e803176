/**
 * Right-click on a data set → Fine-tune…: a form, filled in, that shows what will be trained on, what it costs and what is
 * wrong, and starts the run.
 *
 * Commands: sft-lab.fineTune, sft-lab.addExamples. Settings: sft-lab.modelFolders, sft-lab.measureAutomatically. Does nothing in an untrusted
 * workspace.
 */

import { stat } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import * as vscode from 'vscode';
import { formatError } from '../../core/errors.js';
import { experimentNameOf } from '../../core/experiment.js';
import { defaultValues } from '../../core/form-config.js';
import { type FormValues, formPageState } from '../../core/view/form.js';
import { starterName } from '../../data/models.js';
import { readMapping } from '../preview/mappings.js';
import type { Register, Services } from '../services.js';
import { showView, viewIcon, webviewOptions } from '../webview.js';
import {
  configPath,
  type Devices,
  dataSetEndings,
  dataSetFile,
  evaluationChoices,
  findDevices,
  modelChoices,
  stemOf,
} from './choices.js';
import { addExamples } from './examples.js';
import { FormPanel } from './panel.js';
import type { FormSetting } from './session.js';

const viewType = 'sft-lab.fineTune';
const mostModelFolders = 100;
const mostSearchMs = 2000;

export const register: Register = (context, services) => {
  const forms = new Forms(context, services);
  return vscode.Disposable.from(
    forms,
    vscode.commands.registerCommand('sft-lab.fineTune', (uri?: unknown) => forms.open(uri)),
    vscode.commands.registerCommand('sft-lab.addExamples', () => addExamples(context)),
    vscode.window.registerWebviewPanelSerializer(viewType, {
      deserializeWebviewPanel: (panel, state) => forms.restore(panel, state),
    }),
  );
};

class Forms implements vscode.Disposable {
  private readonly panels = new Map<string, FormPanel>();
  private devices: Promise<Devices> | undefined;

  constructor(
    private readonly context: vscode.ExtensionContext,
    private readonly services: Services,
  ) {}

  async open(chosen: unknown): Promise<void> {
    if (!(await trusted())) return;
    const uri = chosen instanceof vscode.Uri ? chosen : await currentDataSet();
    if (uri === undefined) return;
    const open = this.panels.get(uri.toString());
    if (open !== undefined) {
      open.reveal();
      return;
    }
    const options = webviewOptions(this.context.extensionUri);
    const panel = vscode.window.createWebviewPanel(viewType, titleOf(uri), vscode.ViewColumn.Active, options);
    await this.fill(panel, uri, undefined);
  }

  async restore(panel: vscode.WebviewPanel, state: unknown): Promise<void> {
    const kept = formPageState.safeParse(state);
    if (!kept.success || kept.data.uri === '' || !vscode.workspace.isTrusted) {
      panel.dispose();
      return;
    }
    await this.fill(panel, vscode.Uri.parse(kept.data.uri), kept.data.values ?? undefined);
  }

  dispose(): void {
    for (const panel of this.panels.values()) panel.dispose();
  }

  private async fill(panel: vscode.WebviewPanel, uri: vscode.Uri, values: FormValues | undefined): Promise<void> {
    const { extensionUri } = this.context;
    panel.iconPath = viewIcon(extensionUri);
    showView(panel.webview, extensionUri, 'form', titleOf(uri));
    let open = true;
    panel.onDidDispose(() => {
      open = false;
    });
    try {
      const setting = await this.setting(uri, values);
      if (!open) return;
      const form = new FormPanel(panel, setting, this.services, this.trainer);
      this.panels.set(uri.toString(), form);
      panel.onDidDispose(() => {
        this.panels.delete(uri.toString());
        form.close();
      });
    } catch (error) {
      this.services.output.error(String(error));
      if (open) panel.dispose();
      await vscode.window.showErrorMessage(`Fine-tune: ${formatError(error)}`);
    }
  }

  private get trainer(): { node: string; program: string } {
    return { node: process.execPath, program: join(this.context.extensionPath, 'dist', 'cli.js') };
  }

  private async setting(uri: vscode.Uri, values: FormValues | undefined): Promise<FormSetting> {
    const file = uri.fsPath;
    const folder = dirname(file);
    const root = vscode.workspace.getWorkspaceFolder(uri)?.uri.fsPath;
    this.devices ??= findDevices(this.trainer);
    const [{ size }, { models, choices }, evaluation, devices, mapping] = await Promise.all([
      stat(file),
      modelChoices(await modelFolders(), (path) => configPath(path, folder, root)),
      evaluationChoices(file),
      this.devices,
      readMapping(root, file),
    ]);
    const outputDir = root === undefined ? undefined : configPath(join(root, '.sft'), folder, root);
    return {
      file,
      uri: uri.toString(),
      bytes: size,
      folder: shownFolder(uri),
      outputDir: outputDir === '.sft' ? undefined : outputDir,
      models: choices,
      evaluations: evaluation.choices,
      devices: devices.choices,
      memory: devices.memory,
      bf16: devices.bf16,
      parametersOf: (name) => models.find((model) => model.name === name)?.parameters,
      fresh: values === undefined,
      values: values ?? {
        ...defaultValues(),
        model_name_or_path: models[0]?.name ?? starterName,
        evaluation: evaluation.first,
        // As the previewer was told to read it.
        format: mapping.format,
        prompt_field: mapping.fields.prompt ?? '',
        completion_field: mapping.fields.completion ?? '',
        system_field: mapping.fields.system ?? '',
        messages_field: mapping.fields.messages ?? '',
        experiment: experimentNameOf(stemOf(file).replace(/[._-]train(ing)?$/i, '')),
      },
    };
  }
}

async function trusted(): Promise<boolean> {
  if (vscode.workspace.isTrusted) return true;
  const manage = 'Manage Workspace Trust';
  const answer = await vscode.window.showWarningMessage('SFT Lab trains only in workspaces that you trust.', manage);
  if (answer === manage) await vscode.commands.executeCommand('workbench.trust.manage');
  return false;
}

/** The data set in the active editor, else one that is picked. */
async function currentDataSet(): Promise<vscode.Uri | undefined> {
  const active = activeFile();
  if (active !== undefined && dataSetFile.test(active.path)) return active;
  const found = await vscode.workspace.findFiles(
    `**/*.{${dataSetEndings.join(',')}}`,
    '{**/node_modules/**,**/.sft/**,**/.*/**}',
    200,
  );
  const items = found
    .filter(({ path }) => dataSetFile.test(path))
    // JSON files are seldom data sets, the others nearly always.
    .sort((a, b) => rank(a.path) - rank(b.path) || a.path.localeCompare(b.path))
    .map((uri) => ({ label: basename(uri.path), description: vscode.workspace.asRelativePath(uri), uri }));
  const other = { label: '$(folder-opened) Another file…', uri: undefined };
  const chosen = await vscode.window.showQuickPick<(typeof items)[number] | typeof other>([...items, other], {
    placeHolder: 'Data set to fine-tune on',
  });
  if (chosen === undefined || chosen.uri !== undefined) return chosen?.uri;
  const picked = await vscode.window.showOpenDialog({
    openLabel: 'Fine-tune',
    filters: { 'Data sets': [...dataSetEndings] },
  });
  return picked?.[0];
}

function rank(path: string): number {
  return path.endsWith('.json') ? 1 : 0;
}

function activeFile(): vscode.Uri | undefined {
  const input: unknown = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
  const isFile = input instanceof vscode.TabInputText || input instanceof vscode.TabInputCustom;
  return isFile ? input.uri : undefined;
}

/** Model folders of the workspace, and those that the setting names. */
export async function modelFolders(): Promise<string[]> {
  const configured = vscode.workspace.getConfiguration('sft-lab').get<readonly unknown[]>('modelFolders', []);
  const named = configured.filter((path) => typeof path === 'string').map((path) => vscode.Uri.file(path));
  const pattern = '**/tokenizer.json';
  // A huge workspace must not keep the form from opening: what was found by then is offered.
  const search = new vscode.CancellationTokenSource();
  const timer = setTimeout(() => search.cancel(), mostSearchMs);
  const found = await Promise.all([
    vscode.workspace.findFiles(pattern, '{**/node_modules/**,**/.sft/**}', mostModelFolders, search.token),
    ...named.map((folder) =>
      vscode.workspace.findFiles(new vscode.RelativePattern(folder, pattern), null, mostModelFolders, search.token),
    ),
  ]);
  clearTimeout(timer);
  search.dispose();
  return [...new Set(found.flat().map(({ fsPath }) => dirname(fsPath)))].sort();
}

/** Of the file: the workspace folder's name and the way from there. */
function shownFolder(uri: vscode.Uri): string {
  const workspace = vscode.workspace.getWorkspaceFolder(uri);
  if (workspace === undefined) return dirname(uri.fsPath);
  return join(workspace.name, relative(workspace.uri.fsPath, dirname(uri.fsPath)));
}

function titleOf(uri: vscode.Uri): string {
  return `Fine-tune ${basename(uri.path)}`;
}

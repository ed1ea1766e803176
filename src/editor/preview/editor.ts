/** A preview in the editor: its session, and what the page asks that only the editor can do. */

import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import * as vscode from 'vscode';
import { formatError, LabError } from '../../core/errors.js';
import { type FromPreview, fromPreview, type Mapping, mapping, type ToPreview } from '../../core/view/preview.js';
import { describeModel, type FoundModel, starterName } from '../../data/models.js';
import { evaluationChoices, modelChoice, modelChoices, stemOf } from '../form/choices.js';
import { modelFolders } from '../form/index.js';
import type { Services } from '../services.js';
import { onViewMessage, showView, viewIcon } from '../webview.js';
import { chosenModel, keepModel } from './defaults.js';
import { readMapping, writeMapping } from './mappings.js';
import { type PreviewChoices, PreviewSession } from './session.js';

export interface PreviewHome {
  readonly context: vscode.ExtensionContext;
  readonly services: Services;
}

/** Fills a panel with the preview of a file or a folder. */
export async function fillPanel(panel: vscode.WebviewPanel, uri: vscode.Uri, home: PreviewHome): Promise<void> {
  const { context, services } = home;
  panel.iconPath = viewIcon(context.extensionUri);
  const disposables: vscode.Disposable[] = [];
  let closed = false;
  panel.onDidDispose(() => {
    closed = true;
    for (const one of disposables) one.dispose();
  });
  // The page is shown at once; what it says waits for the session.
  const host = makeSession(panel.webview, uri, home).then((session) => {
    if (closed) session.close();
    disposables.push(new vscode.Disposable(() => session.close()));
    return new PreviewHost(panel, uri, session, home);
  });
  const note = (text: string): void => services.output.warn(text);
  disposables.push(
    onViewMessage(panel.webview, fromPreview, (message) => void host.then((one) => one.hear(message)), note),
    watch(uri, () => {
      const message = 'The data set changed on disk. What is shown is from before.';
      void panel.webview.postMessage({ type: 'notice', message } satisfies ToPreview);
    }),
  );
  showView(panel.webview, context.extensionUri, 'preview', `Preview ${basename(uri.path)}`);
  await host;
}

async function makeSession(webview: vscode.Webview, uri: vscode.Uri, home: PreviewHome): Promise<PreviewSession> {
  const { context, services } = home;
  const path = uri.fsPath;
  const root = vscode.workspace.getWorkspaceFolder(uri)?.uri.fsPath;
  const folder = dirname(path);
  const { format, fields } = await readMapping(root, path);
  return new PreviewSession({
    path,
    name: basename(path),
    folder: root === undefined ? folder : join(basename(root), relative(root, folder)),
    program: join(context.extensionPath, 'dist', 'preview-worker.js'),
    mapping: mapping.parse({ format, ...fields }),
    // Without a list of models there is still one.
    choices: findChoices(path, context).catch((error: unknown): PreviewChoices => {
      services.output.error(String(error));
      return { models: [], model: starterName, evaluations: [], evaluation: '' };
    }),
    canTrain: vscode.workspace.isTrusted,
    send: (message) => void webview.postMessage(message),
    note: (error) => services.output.error(error instanceof Error ? error : String(error)),
  });
}

/** The models of this machine, and the data sets beside this one. */
async function findChoices(path: string, context: vscode.ExtensionContext): Promise<PreviewChoices> {
  const [{ models }, evaluation] = await Promise.all([
    modelChoices(await modelFolders(), (found) => found),
    evaluationChoices(path),
  ]);
  const kept = chosenModel(context);
  const model = models.find(({ name }) => name === kept)?.name ?? models[0]?.name ?? starterName;
  const files = evaluation.choices.filter(({ value }) => /\.[a-z]+$/i.test(value));
  const sister = files.find(({ value }) => value === evaluation.first);
  const absolute = (name: string): string => join(dirname(path), name);
  return {
    models: models.map((one) => ({ value: one.name, label: labelOf(one) })),
    model,
    evaluations: [
      { value: '', label: 'No evaluation set' },
      ...files.map(({ value, label }) => ({ value: absolute(value), label })),
    ],
    evaluation: sister === undefined ? '' : absolute(sister.value),
  };
}

/** Of a folder in the workspace, from there: there is little room. */
function labelOf(model: FoundModel): string {
  return modelChoice({ ...model, name: vscode.workspace.asRelativePath(model.name) }).label;
}

function watch(uri: vscode.Uri, changed: () => void): vscode.Disposable {
  const pattern = new vscode.RelativePattern(vscode.Uri.joinPath(uri, '..'), basename(uri.path));
  const watcher = vscode.workspace.createFileSystemWatcher(pattern);
  return vscode.Disposable.from(
    watcher,
    watcher.onDidChange(changed),
    watcher.onDidCreate(changed),
    watcher.onDidDelete(changed),
  );
}

class PreviewHost {
  /** Mappings are written one after another: the last one chosen is the one that stays. */
  private written: Promise<void> = Promise.resolve();

  constructor(
    private readonly panel: vscode.WebviewPanel,
    private readonly uri: vscode.Uri,
    private readonly session: PreviewSession,
    private readonly home: PreviewHome,
  ) {}

  hear(message: FromPreview): void {
    this.answer(message).catch((error: unknown) => {
      if (!(error instanceof LabError)) this.home.services.output.error(String(error));
      void vscode.window.showErrorMessage(formatError(error));
    });
  }

  private async answer(message: FromPreview): Promise<void> {
    if (await this.session.receive(message)) return;
    switch (message.type) {
      case 'mapping':
        return this.remap(message.mapping);
      case 'model':
        await keepModel(this.home.context, message.model);
        return this.session.setModel(message.model);
      case 'evaluation':
        return this.session.setEvaluation(message.evaluation);
      case 'pick':
        return this.pick(message.what);
      case 'save':
        await this.save();
        return;
      case 'fineTune':
        return this.fineTune();
      case 'openLine':
        return this.openLine(message.line);
      case 'copy':
        await vscode.env.clipboard.writeText(await this.session.record(message.row));
        return;
      default:
        return;
    }
  }

  private async remap(mapping: Mapping): Promise<void> {
    const root = vscode.workspace.getWorkspaceFolder(this.uri)?.uri.fsPath;
    const write = this.written.then(() => writeMapping(root, this.uri.fsPath, mapping));
    this.written = write.catch(() => undefined);
    await write;
    await this.session.remap(mapping);
  }

  private async pick(what: 'model' | 'template' | 'ownTemplate'): Promise<void> {
    if (what === 'ownTemplate') return this.session.setTemplate(undefined);
    if (what === 'template') {
      const [file] =
        (await vscode.window.showOpenDialog({
          openLabel: 'Use as chat template',
          filters: { 'Chat templates': ['jinja', 'jinja2', 'j2', 'txt'] },
        })) ?? [];
      if (file === undefined) return;
      if ((await stat(file.fsPath)).size > 1 << 20) throw new LabError('is too large for a chat template');
      return this.session.setTemplate({ name: basename(file.path), text: await readFile(file.fsPath, 'utf8') });
    }
    const [folder] =
      (await vscode.window.showOpenDialog({
        openLabel: 'Use model',
        canSelectFolders: true,
        canSelectFiles: false,
      })) ?? [];
    if (folder === undefined) return;
    const found = await describeModel(folder.fsPath);
    await keepModel(this.home.context, found.name);
    await this.session.setModel(found.name, labelOf(found));
  }

  /** The view as a new data set. @returns where it is; undefined where it was given up */
  private async save(): Promise<vscode.Uri | undefined> {
    const stem = stemOf(this.uri.path);
    const suggested = this.session.filtered ? `${stem}.filtered.jsonl` : `${stem}.copy.jsonl`;
    const target = await vscode.window.showSaveDialog({
      defaultUri: vscode.Uri.joinPath(this.uri, '..', suggested),
      filters: { JSONL: ['jsonl'] },
      title: 'Save view as a new data set',
    });
    if (target === undefined) return undefined;
    const { written, left } = await vscode.window.withProgress(
      { location: vscode.ProgressLocation.Notification, title: `Writing ${basename(target.path)}`, cancellable: true },
      (_progress, token) => {
        const controller = new AbortController();
        token.onCancellationRequested(() => controller.abort(new LabError('Writing was given up.')));
        return this.session.save(target.fsPath, controller.signal);
      },
    );
    const also = left === 0 ? '' : ` ${left.toLocaleString('en')} malformed records were left out.`;
    const open = 'Preview';
    void vscode.window
      .showInformationMessage(`${basename(target.path)}: ${written.toLocaleString('en')} records.${also}`, open)
      .then((answer) => (answer === open ? vscode.commands.executeCommand('sft-lab.preview', target) : undefined));
    return target;
  }

  private async fineTune(): Promise<void> {
    // What is trained on is what is seen: a filtered view becomes a file first.
    const uri = this.session.filtered ? await this.save() : this.uri;
    if (uri !== undefined) await vscode.commands.executeCommand('sft-lab.fineTune', uri);
  }

  private async openLine(line: number): Promise<void> {
    const at = new vscode.Position(Math.max(0, line - 1), 0);
    await vscode.commands.executeCommand('vscode.openWith', this.uri, 'default', {
      selection: new vscode.Range(at, at),
      viewColumn: this.panel.viewColumn,
    });
  }
}

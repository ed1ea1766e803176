/**
 * "SFT Data Set Preview": an editor for data sets of any kind and size, beside the text editor (Reopen With…). Rows as conversations,
 * as JSON, and as the tokens that will be trained on; filter, overview, problems.
 *
 * Custom editor: sft-lab.preview. Command: sft-lab.preview.
 */

import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import * as vscode from 'vscode';
import { formatError } from '../../core/errors.js';
import { fromPreview } from '../../core/view/preview.js';
import { starterName } from '../../data/models.js';
import { modelChoices } from '../form/choices.js';
import type { Register, Services } from '../services.js';
import { onViewMessage, showView, webviewOptions } from '../webview.js';
import { keepMapping, readMapping } from './mappings.js';
import { RawEditors } from './raw.js';
import { PreviewSession } from './session.js';

const viewType = 'sft-lab.preview';
/** Text files open as text unless a person chooses; a priority belongs to a whole view type, so that they have one of their own. */
const textViewType = 'sft-lab.previewText';
const mostModelFolders = 50;

export const register: Register = (context, services) =>
  vscode.Disposable.from(
    new RawEditors(services),
    ...[viewType, textViewType].map((type) =>
      vscode.window.registerCustomEditorProvider(type, new PreviewProvider(context, services), {
        supportsMultipleEditorsPerDocument: true,
      }),
    ),
    vscode.commands.registerCommand('sft-lab.preview', async (uri?: unknown) => {
      const input: unknown = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
      const target = uri instanceof vscode.Uri ? uri : input instanceof vscode.TabInputText ? input.uri : undefined;
      if (target !== undefined) await vscode.commands.executeCommand('vscode.openWith', target, viewTypeOf(target));
    }),
  );

class PreviewProvider implements vscode.CustomReadonlyEditorProvider {
  constructor(
    private readonly context: vscode.ExtensionContext,
    private readonly services: Services,
  ) {}

  openCustomDocument(uri: vscode.Uri): vscode.CustomDocument {
    return { uri, dispose: () => undefined };
  }

  async resolveCustomEditor({ uri }: vscode.CustomDocument, panel: vscode.WebviewPanel): Promise<void> {
    const { extensionUri } = this.context;
    const { output } = this.services;
    const root = vscode.workspace.getWorkspaceFolder(uri)?.uri.fsPath;
    const path = dataSetOf(uri.fsPath);
    panel.webview.options = webviewOptions(extensionUri);
    const [mapping, { choices }] = await Promise.all([
      readMapping(root, path),
      modelChoices(await modelFolders(), (folder) => folder),
    ]);
    const session = new PreviewSession(
      {
        path,
        name: basename(path),
        models: [{ value: '', label: 'No model' }, ...choices],
        mapping,
        model: choices.some(({ value }) => value === starterName) ? starterName : (choices[0]?.value ?? ''),
      },
      {
        show: (message) => void panel.webview.postMessage(message),
        keepMapping: (changed) => keepMapping(root, path, changed),
        note: (error) => output.error(formatError(error)),
      },
    );
    const receive = onViewMessage(
      panel.webview,
      fromPreview,
      (message) => {
        const work =
          message.type === 'save'
            ? this.save(session, uri)
            : message.type === 'fineTune'
              ? this.fineTune(session, uri)
              : session.receive(message);
        work.catch((error: unknown) => {
          output.error(formatError(error));
          void vscode.window.showErrorMessage(formatError(error));
        });
      },
      (text) => output.warn(text),
    );
    panel.onDidDispose(() => {
      receive.dispose();
      void session.close();
    });
    showView(panel.webview, extensionUri, 'preview', `Preview ${basename(path)}`);
  }

  /** @returns the file, undefined where nothing was written */
  private async save(session: PreviewSession, uri: vscode.Uri): Promise<vscode.Uri | undefined> {
    const stem = basename(uri.fsPath).replace(/\.[^.]*$/, '');
    const target = await vscode.window.showSaveDialog({
      defaultUri: vscode.Uri.joinPath(uri, '..', `${stem}.filtered.jsonl`),
      filters: { JSONL: ['jsonl'] },
      saveLabel: 'Save as New Data Set',
    });
    if (target === undefined) return undefined;
    if (existsSync(target.fsPath)) {
      await vscode.window.showErrorMessage(
        `${basename(target.fsPath)} exists already: a data set is never written over.`,
      );
      return undefined;
    }
    const count = await session.save(target.fsPath);
    const open = 'Open';
    void vscode.window
      .showInformationMessage(`${count} records saved as ${basename(target.fsPath)}.`, open)
      .then((answer) => {
        if (answer === open) void vscode.commands.executeCommand('vscode.openWith', target, textViewType);
      });
    return target;
  }

  /** On the rows shown: a filtered view is saved first. */
  private async fineTune(session: PreviewSession, uri: vscode.Uri): Promise<void> {
    const target = session.condition === undefined ? uri : await this.save(session, uri);
    if (target !== undefined) await vscode.commands.executeCommand('sft-lab.fineTune', target);
  }
}

function viewTypeOf({ path }: vscode.Uri): string {
  return /\.(jsonl|ndjson|json|csv|tsv|tab)$/i.test(path) ? textViewType : viewType;
}

/** A part of a data set that `datasets.save_to_disk` wrote stands for its folder. */
function dataSetOf(path: string): string {
  const folder = dirname(path);
  return path.endsWith('.arrow') && existsSync(join(folder, 'state.json')) ? folder : path;
}

async function modelFolders(): Promise<string[]> {
  const found = await vscode.workspace.findFiles(
    '**/tokenizer.json',
    '{**/node_modules/**,**/.sft/**}',
    mostModelFolders,
  );
  return [...new Set(found.map(({ fsPath }) => dirname(fsPath)))].sort();
}

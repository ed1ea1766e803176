/**
 * SFT Data Set Preview: any data set as the trainer will see it, beside the text editor (Reopen Editor With…), and in the raw JSONL
 * editor what is wrong with its records.
 *
 * Custom editors: sft-lab.preview, sft-lab.previewText. Command: sft-lab.preview (a file, or a folder of Arrow files).
 */

import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import * as vscode from 'vscode';
import type { Register } from '../services.js';
import { webviewOptions } from '../webview.js';
import { fillPanel, type PreviewHome } from './editor.js';
import { RawEditors } from './raw.js';

const viewType = 'sft-lab.preview';
/** Text files open as text unless a person chooses; a priority belongs to a whole view type, so that they have one of their own. */
const textViewType = 'sft-lab.previewText';
const folderViewType = 'sft-lab.previewFolder';
const mostArrowFiles = 2000;

export const register: Register = (context, services) => {
  const home: PreviewHome = { context, services };
  return vscode.Disposable.from(
    ...[viewType, textViewType].map((type) =>
      vscode.window.registerCustomEditorProvider(
        type,
        {
          openCustomDocument: (uri) => ({ uri, dispose: () => undefined }),
          resolveCustomEditor: ({ uri }: vscode.CustomDocument, panel: vscode.WebviewPanel) =>
            fillPanel(panel, dataSetOf(uri), home),
        },
        { supportsMultipleEditorsPerDocument: true },
      ),
    ),
    vscode.commands.registerCommand('sft-lab.preview', (uri?: unknown) => preview(uri, home)),
    new RawEditors(services, context),
    watchArrowFolders(),
  );
};

async function preview(chosen: unknown, home: PreviewHome): Promise<void> {
  const uri = chosen instanceof vscode.Uri ? chosen : (activeFile() ?? (await picked()));
  if (uri === undefined) return;
  if (uri.scheme !== 'file') {
    await vscode.window.showWarningMessage(
      'Only data sets on the disk of the machine that VS Code works on are shown.',
    );
    return;
  }
  const found = await stat(uri.fsPath).catch(() => undefined);
  if (found?.isDirectory() !== true) {
    await vscode.commands.executeCommand('vscode.openWith', uri, viewTypeOf(uri));
    return;
  }
  const options = webviewOptions(home.context.extensionUri);
  const panel = vscode.window.createWebviewPanel(folderViewType, basename(uri.path), vscode.ViewColumn.Active, options);
  await fillPanel(panel, uri, home);
}

function activeFile(): vscode.Uri | undefined {
  const input: unknown = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
  const isFile = input instanceof vscode.TabInputText || input instanceof vscode.TabInputCustom;
  return isFile ? input.uri : undefined;
}

async function picked(): Promise<vscode.Uri | undefined> {
  const [uri] = (await vscode.window.showOpenDialog({ openLabel: 'Preview', canSelectFolders: true })) ?? [];
  return uri;
}

function viewTypeOf({ path }: vscode.Uri): string {
  return /\.(jsonl|ndjson|json|csv|tsv|tab)$/i.test(path) ? textViewType : viewType;
}

/** A part of a data set that `datasets.save_to_disk` wrote stands for its folder. */
function dataSetOf(uri: vscode.Uri): vscode.Uri {
  const folder = vscode.Uri.joinPath(uri, '..');
  return uri.path.endsWith('.arrow') && existsSync(join(folder.fsPath, 'state.json')) ? folder : uri;
}

/** Tells the explorer's menu which folders hold Arrow files. */
function watchArrowFolders(): vscode.Disposable {
  const find = async (): Promise<void> => {
    const files = await vscode.workspace.findFiles('**/*.arrow', '{**/node_modules/**,**/.git/**}', mostArrowFiles);
    const folders = Object.fromEntries(files.map(({ fsPath }) => [dirname(fsPath), true]));
    await vscode.commands.executeCommand('setContext', 'sft-lab.arrowFolders', folders);
  };
  const watcher = vscode.workspace.createFileSystemWatcher('**/*.arrow', false, true, false);
  const again = (): void => void find();
  again();
  return vscode.Disposable.from(watcher, watcher.onDidCreate(again), watcher.onDidDelete(again));
}

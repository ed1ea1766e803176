/** One samples view: its session, and what a person asks the editor for from it. */

import { join } from 'node:path';
import * as vscode from 'vscode';
import { LabError } from '../../core/errors.js';
import { type FromSamples, fromSamples, type ToSamples } from '../../core/view/samples.js';
import { exists } from '../../runs/run-folder.js';
import { pickRuns } from '../runs/pick.js';
import type { Services } from '../services.js';
import { showError } from '../show-error.js';
import { onViewMessage, showView, viewIcon } from '../webview.js';
import type { SampleDocuments } from './documents.js';
import { SamplesSession } from './session.js';

export class SamplesPanel implements vscode.Disposable {
  private readonly session: SamplesSession;
  private readonly owned: vscode.Disposable[];
  /** Step to go to: a page that is not there yet, or is loaded anew because it was hidden, is told once more. */
  private awaited: number | undefined;

  constructor(
    private readonly panel: vscode.WebviewPanel,
    context: vscode.ExtensionContext,
    private readonly services: Services,
    private readonly documents: SampleDocuments,
    folders: readonly string[],
  ) {
    const { runs, output } = services;
    panel.iconPath = viewIcon(context.extensionUri);
    this.session = new SamplesSession(
      {
        run: (folder) => runs.get(folder),
        follow: (folder, listener) => runs.follow(folder, listener),
        send: (message) => this.send(message),
      },
      folders,
    );
    this.owned = [
      onViewMessage(
        panel.webview,
        fromSamples,
        (message) => void this.receive(message).catch((error: unknown) => showError(output, error)),
        (text) => output.warn(text),
      ),
      runs.onDidChange(({ runs: changed }) => {
        if (!this.session.folders.some((folder) => changed.has(folder))) return;
        this.session.rowsChanged();
        this.name();
      }),
      panel.onDidDispose(() => this.dispose()),
    ];
    this.name();
    showView(panel.webview, context.extensionUri, 'samples', 'Samples');
  }

  shows(folders: readonly string[]): boolean {
    return this.session.shows(folders);
  }

  reveal(): void {
    this.panel.reveal();
  }

  goTo(step: number): void {
    this.awaited = step;
    this.send({ type: 'goTo', step });
  }

  dispose(): void {
    this.session.close();
    for (const one of this.owned) one.dispose();
  }

  private send(message: ToSamples): void {
    void this.panel.webview.postMessage(message);
  }

  private name(): void {
    const { folders } = this.session;
    const [first] = folders;
    const what = folders.length === 1 && first !== undefined ? this.label(first) : `${folders.length} runs`;
    this.panel.title = `Samples: ${what}`;
  }

  private label(folder: string): string {
    return this.services.runs.get(folder)?.label ?? 'run';
  }

  private async receive(message: FromSamples): Promise<void> {
    const { session, services } = this;
    switch (message.type) {
      case 'ready':
        session.start(message.query);
        if (this.awaited !== undefined) this.goTo(this.awaited);
        return;
      case 'query':
        this.awaited = undefined;
        session.ask(message.query);
        return;
      case 'rows':
        session.rows(message.version, message.from, message.count);
        return;
      case 'selectAt':
        session.select(message.position);
        return;
      case 'add':
        session.add(await pickRuns(services.runs, { except: new Set(session.folders) }));
        this.name();
        return;
      case 'remove':
        session.remove(message.run);
        this.name();
        return;
      case 'openCharts':
        await vscode.commands.executeCommand('sft-lab.openRun', session.folders);
        return;
      case 'openConfig':
        if (session.folders.includes(message.run)) await openConfig(services, message.run);
        return;
      case 'openRecord':
        await this.openRecord();
        return;
      case 'openDiff': {
        const sides = session.compared();
        if (sides !== undefined) await this.documents.diff(sides.before, sides.after, (run) => this.label(run));
      }
    }
  }

  /** The line in the text editor; what is no text, or too long for it, in the preview. */
  private async openRecord(): Promise<void> {
    const place = this.session.selected?.place;
    if (place === undefined) return;
    if (!(await exists(place.file)))
      throw new LabError('the data set is not there any more', { place: { file: place.file } });
    const uri = vscode.Uri.file(place.file);
    const { size } = await vscode.workspace.fs.stat(uri);
    if (!/\.(jsonl|ndjson|json|csv|tsv|tab)$/i.test(place.file) || size > longestDocument) {
      await vscode.commands.executeCommand('sft-lab.preview', uri);
      return;
    }
    const at = new vscode.Position(Math.max(0, place.line - 1), 0);
    await vscode.window.showTextDocument(uri, { selection: new vscode.Range(at, at), preview: true });
  }
}

/** What the editor lets extensions open. */
const longestDocument = 50 * 1024 * 1024;

/** The file that the run was started from, where it is still there. */
async function openConfig({ runs }: Services, folder: string): Promise<void> {
  const own = vscode.Uri.file(join(folder, 'run.json'));
  const { configFile } = runs.get(folder) ?? {};
  const file = configFile === undefined ? own : vscode.Uri.file(configFile);
  await vscode.window.showTextDocument((await exists(file.fsPath)) ? file : own, { preview: true });
}

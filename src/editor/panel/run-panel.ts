/** One panel: follows its runs and tells the page what is new, at most some twenty times a second. */

import { join } from 'node:path';
import * as vscode from 'vscode';
import { foldEvents } from '../../core/history.js';
import { curvesCsv } from '../../core/view/csv.js';
import { panelRunOf } from '../../core/view/panel-runs.js';
import { type FromPanel, fromPanel, type PanelRun, type ToPanel } from '../../core/view/run-panel.js';
import { RunRecord } from '../../core/view/run-record.js';
import { readEvents } from '../../runs/event-log.js';
import { openLog } from '../runs/open-log.js';
import { pickRuns } from '../runs/pick.js';
import type { EventBatch, IndexChange } from '../runs/store.js';
import type { Services } from '../services.js';
import { requireTrust, showError } from '../show-error.js';
import { onViewMessage, showView, viewIcon } from '../webview.js';

const flushMs = 50;
/** Milliseconds between two tellings of how far a run is, where nothing else about it is new. */
const progressMs = 250;

/** A run that is shown: what its log has said, and what of it the page has not been told. */
interface Shown {
  readonly record: RunRecord;
  readonly follow: vscode.Disposable;
  caughtUp: boolean;
  /** Index of the first point that the page lacks. */
  points: number | undefined;
  facts: boolean;
  /** The run has gone on. */
  progress: boolean;
  /** When the page was last told of the run. */
  told: number;
}

export class RunPanel implements vscode.Disposable {
  private readonly runs = new Map<string, Shown>();
  private readonly owned: vscode.Disposable[];
  private ready = false;
  /** The list itself has changed. */
  private listChanged = true;
  /** Folders of which the page was told that no run is there. */
  private missing: ReadonlySet<string> = new Set();
  private timer: { readonly handle: NodeJS.Timeout; readonly at: number } | undefined;

  constructor(
    private readonly panel: vscode.WebviewPanel,
    context: vscode.ExtensionContext,
    private readonly services: Services,
    folders: readonly string[],
  ) {
    panel.iconPath = viewIcon(context.extensionUri);
    this.owned = [
      onViewMessage(
        panel.webview,
        fromPanel,
        (message) => void this.receive(message).catch((error: unknown) => showError(services.output, error)),
        (text) => services.output.warn(text),
      ),
      services.runs.onDidChange((change) => this.rowsChanged(change)),
      panel.onDidDispose(() => this.dispose()),
    ];
    showView(panel.webview, context.extensionUri, 'run', 'Run');
    this.add(folders);
  }

  /** Whether it shows these runs and no others. */
  shows(folders: readonly string[]): boolean {
    return folders.length === this.runs.size && folders.every((folder) => this.runs.has(folder));
  }

  reveal(): void {
    this.panel.reveal();
  }

  dispose(): void {
    clearTimeout(this.timer?.handle);
    for (const { follow } of this.runs.values()) follow.dispose();
    this.runs.clear();
    for (const one of this.owned) one.dispose();
  }

  private add(folders: readonly string[]): void {
    for (const folder of folders) {
      if (this.runs.has(folder)) continue;
      const shown: Shown = {
        record: new RunRecord(),
        follow: this.services.runs.follow(folder, (batch) => this.follow(folder, batch)),
        caughtUp: false,
        points: undefined,
        facts: false,
        progress: false,
        told: 0,
      };
      this.runs.set(folder, shown);
    }
    this.listChanged = true;
    this.flushSoon();
  }

  private follow(folder: string, { events, caughtUp, restarted }: EventBatch): void {
    const shown = this.runs.get(folder);
    if (shown === undefined) return;
    if (restarted) {
      shown.record.reset();
      shown.points = 0;
    }
    const change = shown.record.add(events);
    if (change.points !== undefined) shown.points = Math.min(shown.points ?? change.points, change.points);
    shown.facts ||= change.facts;
    shown.progress ||= change.points !== undefined;
    shown.caughtUp ||= caughtUp;
    this.flushSoon();
  }

  private rowsChanged(change: IndexChange): void {
    for (const [folder, shown] of this.runs) shown.facts ||= change.structure || change.runs.has(folder);
    this.setTitle();
    // A run that was not known when the page was told may be there by now, and the other way round.
    for (const [folder, shown] of this.runs) {
      const gone = this.services.runs.get(folder) === undefined;
      if (gone === this.missing.has(folder)) continue;
      this.listChanged = true;
      if (!gone) shown.points = 0;
    }
    this.flushSoon();
  }

  private flushSoon(after = flushMs): void {
    const at = Date.now() + after;
    if (this.timer !== undefined && this.timer.at <= at) return;
    clearTimeout(this.timer?.handle);
    const handle = setTimeout(() => {
      this.timer = undefined;
      if (this.ready) this.flush();
    }, after);
    this.timer = { handle, at };
  }

  private flush(): void {
    if (this.listChanged) {
      const runs = [...this.runs.keys()].flatMap((folder) => this.describe(folder) ?? []);
      const missing = [...this.runs.keys()].filter((folder) => this.services.runs.get(folder) === undefined);
      this.listChanged = false;
      this.missing = new Set(missing);
      this.send({ type: 'runs', runs, missing });
      this.setTitle();
    }
    for (const [folder, shown] of this.runs) {
      // The past comes in many pieces: one message when all of it is there.
      if (!shown.caughtUp) continue;
      if (shown.facts || (shown.progress && Date.now() - shown.told >= progressMs)) {
        const run = this.describe(folder);
        if (run !== undefined) this.send({ type: 'run', run });
        shown.facts = false;
        shown.progress = false;
        shown.told = Date.now();
      }
      if (shown.points !== undefined) {
        this.send({ type: 'points', key: folder, from: shown.points, points: shown.record.points.pack(shown.points) });
        shown.points = undefined;
      }
    }
    if ([...this.runs.values()].some(({ progress, caughtUp }) => progress && caughtUp)) this.flushSoon(progressMs);
  }

  private describe(folder: string): PanelRun | undefined {
    const row = this.services.runs.get(folder);
    const shown = this.runs.get(folder);
    if (row === undefined || shown === undefined) return undefined;
    return panelRunOf({ ...row, experiment: row.experimentLabel }, shown.record.history);
  }

  /** Runs may be renamed while they are shown. */
  private setTitle(): void {
    const labels = [...this.runs.keys()].flatMap((folder) => this.services.runs.get(folder)?.label ?? []);
    const [only] = labels;
    const title = only === undefined ? 'Runs' : labels.length === 1 ? only : `${labels.length} runs`;
    if (this.panel.title !== title) this.panel.title = title;
  }

  private send(message: ToPanel): void {
    void this.panel.webview.postMessage(message);
  }

  private async receive(message: FromPanel): Promise<void> {
    switch (message.type) {
      case 'ready':
        this.ready = true;
        this.listChanged = true;
        for (const shown of this.runs.values()) shown.points = 0;
        this.flush();
        return;
      case 'lost': {
        const shown = this.runs.get(message.key);
        if (shown !== undefined) shown.points = 0;
        this.flushSoon();
        return;
      }
      case 'add':
        this.add(await pickRuns(this.services.runs, { except: new Set(this.runs.keys()) }));
        return;
      case 'remove':
        this.runs.get(message.key)?.follow.dispose();
        this.runs.delete(message.key);
        this.listChanged = true;
        this.flushSoon();
        return;
      case 'openSamples':
        await vscode.commands.executeCommand('sft-lab.openSamples', message.keys);
        return;
      case 'exportCsv':
        await this.exportCsv(message.keys);
        return;
      case 'exportPng':
        await save(`${message.name}.png`, { Images: ['png'] }, new Uint8Array(message.png));
        return;
      case 'command':
        await this.command(message.command, message.key);
    }
  }

  private async exportCsv(keys: readonly string[]): Promise<void> {
    const runs = await Promise.all(
      keys.flatMap((folder) => {
        const row = this.services.runs.get(folder);
        return row === undefined ? [] : [readRun(folder, row.name, row.label)];
      }),
    );
    await save('curves.csv', { CSV: ['csv'] }, new TextEncoder().encode(curvesCsv(runs)));
  }

  private async command(command: Extract<FromPanel, { type: 'command' }>['command'], folder: string): Promise<void> {
    const { launcher } = this.services;
    switch (command) {
      case 'stop':
        await launcher.stop(folder);
        return;
      case 'resume':
        requireTrust();
        await launcher.resume(folder);
        return;
      case 'terminal':
        await vscode.commands.executeCommand('sft-lab.showTerminal', folder);
        return;
      case 'log':
        await openLog(folder);
        return;
      case 'config':
        await vscode.window.showTextDocument(vscode.Uri.file(join(folder, 'run.json')));
    }
  }
}

async function readRun(folder: string, name: string, label: string) {
  const { events } = await readEvents(join(folder, 'events.jsonl'));
  return { name, label, history: foldEvents(events) };
}

async function save(name: string, filters: Record<string, string[]>, bytes: Uint8Array): Promise<void> {
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
  const file = await vscode.window.showSaveDialog({
    filters,
    ...(folder === undefined ? {} : { defaultUri: vscode.Uri.joinPath(folder, name) }),
  });
  if (file !== undefined) await vscode.workspace.fs.writeFile(file, bytes);
}

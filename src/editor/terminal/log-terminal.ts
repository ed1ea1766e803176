/** What a run's terminal showed, from `console.log`, and what it shows further: of runs that were not started from this window. */

import { hostname } from 'node:os';
import { join } from 'node:path';
import * as vscode from 'vscode';
import { TextFollower, type TextPiece } from '../../runs/follow-text.js';
import type { RunRow } from '../runs/store.js';
import type { Services } from '../services.js';
import { showError } from '../show-error.js';

// A log of a run that came from elsewhere may hold escape sequences; ours has none.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** The last lines of a log come a moment after the run's last event. */
const lastWordsMs = 700;

export class LogTerminal implements vscode.Pseudoterminal {
  private readonly write = new vscode.EventEmitter<string>();
  private readonly changeName = new vscode.EventEmitter<string>();
  readonly onDidWrite = this.write.event;
  readonly onDidChangeName = this.changeName.event;
  private readonly owned: vscode.Disposable[] = [];
  private shownState: RunRow['state'] | undefined;
  private name: string | undefined;
  /** A stop that was asked for here: the next Ctrl+C leaves at once, as in a terminal. */
  private stopping = false;
  private asking = false;
  private caughtUp = false;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly folder: string,
    private readonly services: Services,
  ) {}

  open(): void {
    const { runs, output } = this.services;
    this.name = this.row?.label;
    if (this.row?.state === 'running') {
      this.note('The log of a run that was not started from this window. Ctrl+C stops it, and asks first.');
    }
    const follower = new TextFollower(
      join(this.folder, 'console.log'),
      (piece) => this.show(piece),
      (error) => output.error(`${this.folder}: ${String(error)}`),
    );
    this.owned.push(
      new vscode.Disposable(() => follower.close()),
      runs.onDidChange(() => this.rowChanged()),
    );
  }

  close(): void {
    clearTimeout(this.timer);
    for (const one of this.owned.splice(0)) one.dispose();
  }

  handleInput(data: string): void {
    if (data === '\u0003' && !this.asking)
      void this.interrupt().catch((error: unknown) => showError(this.services.output, error));
  }

  private get row(): RunRow | undefined {
    return this.services.runs.get(this.folder);
  }

  private show({ text, restarted, caughtUp }: TextPiece): void {
    if (restarted) this.write.fire('\u001b[2J\u001b[3J\u001b[H');
    this.write.fire(text.replace(controls, '').replaceAll('\n', '\r\n'));
    if (!caughtUp || this.caughtUp) return;
    this.caughtUp = true;
    this.rowChanged();
  }

  private rowChanged(): void {
    const { row } = this;
    if (row === undefined) return;
    if (row.label !== this.name) {
      this.name = row.label;
      this.changeName.fire(row.label);
    }
    if (row.state === this.shownState || !this.caughtUp) return;
    const first = this.shownState === undefined;
    this.shownState = row.state;
    clearTimeout(this.timer);
    this.stopping = false;
    if (row.state === 'running') {
      if (!first) this.note('It goes on.');
    } else if (first) {
      this.note(endOf(row));
    } else {
      this.timer = setTimeout(() => this.note(endOf(row)), lastWordsMs);
    }
  }

  private async interrupt(): Promise<void> {
    const { row, services } = this;
    if (row?.state !== 'running' || row.holder === undefined) return;
    // The comparison that a run is part of would go on with the next.
    const experiment = services.runs.experiment(row.experimentFolder);
    const comparison = experiment?.holder === undefined ? undefined : experiment;
    if (!this.stopping) {
      const { pid, host } = row.holder;
      const where = host === hostname() ? '' : ` on ${host}`;
      this.asking = true;
      const answer = await vscode.window.showWarningMessage(
        comparison === undefined ? `Stop “${row.label}”?` : `Stop the comparison “${comparison.label}”?`,
        {
          modal: true,
          detail: `Process ${pid}${where} trains it; it was not started from this window. It finishes its step, saves and ends; Resume goes on exactly there.`,
        },
        'Stop',
      );
      this.asking = false;
      if (answer === undefined) return;
    }
    this.stopping = true;
    await services.launcher.stop(comparison?.folder ?? this.folder);
    this.note('Asked to finish the step and save. Ctrl+C again leaves at once.');
  }

  private note(text: string): void {
    this.write.fire(`\u001b[2m${text}\u001b[0m\r\n`);
  }
}

function endOf({ state, step }: RunRow): string {
  switch (state) {
    case 'interrupted':
      return `Interrupted at step ${step}: its process is gone. Resume goes on from the last checkpoint.`;
    case 'queued':
      return 'It has not begun yet.';
    default:
      return `${state[0]?.toUpperCase()}${state.slice(1)} at step ${step}.`;
  }
}

/** The screen of a trainer that was started from this window. */

import * as vscode from 'vscode';
import type { Launched } from '../../launch/launcher.js';
import type { Services } from '../services.js';

export class SessionTerminal implements vscode.Pseudoterminal {
  private readonly write = new vscode.EventEmitter<string>();
  private readonly changeName = new vscode.EventEmitter<string>();
  readonly onDidWrite = this.write.event;
  readonly onDidChangeName = this.changeName.event;
  private readonly owned: vscode.Disposable[] = [];
  private name = '';

  constructor(
    private readonly session: Launched,
    private readonly services: Services,
  ) {}

  open(size: vscode.TerminalDimensions | undefined): void {
    this.setSizeOf(size);
    this.write.fire(this.session.output);
    const forget = this.session.listen({
      onData: (text) => this.write.fire(text),
      onRun: () => this.rename(),
      onExit: ({ code }) => this.ended(code),
    });
    this.owned.push(
      new vscode.Disposable(forget),
      this.services.runs.onDidChange(() => this.rename()),
    );
    this.rename();
    if (this.session.exit !== undefined) this.ended(this.session.exit.code);
  }

  close(): void {
    for (const one of this.owned.splice(0)) one.dispose();
  }

  handleInput(data: string): void {
    if (data === '\u0003') this.services.launcher.interrupt(this.session);
  }

  setDimensions(size: vscode.TerminalDimensions): void {
    this.setSizeOf(size);
  }

  private setSizeOf(size: vscode.TerminalDimensions | undefined): void {
    if (size !== undefined) this.session.resize(size.columns, size.rows);
  }

  /** After the run that it trains. */
  private rename(): void {
    const { currentRun } = this.session;
    const label = currentRun === undefined ? undefined : this.services.runs.get(currentRun)?.label;
    if (label === undefined || label === this.name) return;
    this.name = label;
    this.changeName.fire(label);
  }

  /** A trainer that ends in order says so itself; one that was killed cannot. */
  private ended(code: number): void {
    if (code <= 128 || code === 130) return;
    // Windows has no signals, and codes of 32 bits for crashes.
    const how = code < 256 ? `was ended from outside (signal ${code - 128})` : `crashed (code 0x${code.toString(16)})`;
    this.write.fire(`\r\n\u001b[31mIts process ${how}.\u001b[0m\r\n`);
  }
}

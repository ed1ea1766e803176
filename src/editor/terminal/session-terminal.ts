/** The screen of a trainer that was started from this window. */

import * as vscode from 'vscode';
import type { Launched } from '../../launch/launcher.js';

export class SessionTerminal implements vscode.Pseudoterminal {
  private readonly write = new vscode.EventEmitter<string>();
  private readonly changeName = new vscode.EventEmitter<string>();
  readonly onDidWrite = this.write.event;
  readonly onDidChangeName = this.changeName.event;
  private forget: (() => void) | undefined;

  constructor(private readonly session: Launched) {}

  open(size: vscode.TerminalDimensions | undefined): void {
    this.setSizeOf(size);
    this.write.fire(this.session.output);
    this.forget = this.session.listen({ onData: (text) => this.write.fire(text) });
  }

  close(): void {
    this.forget?.();
  }

  handleInput(data: string): void {
    if (data === '\u0003') this.session.interrupt();
  }

  setDimensions(size: vscode.TerminalDimensions): void {
    this.setSizeOf(size);
  }

  private setSizeOf(size: vscode.TerminalDimensions | undefined): void {
    if (size !== undefined) this.session.resize(size.columns, size.rows);
  }
}

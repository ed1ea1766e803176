/**
 * The run's terminal: what the trainer shows, as it shows it. Runs started from here show their own screen; runs found alive
 * after a reload, or ended ones, show `console.log` and go on as it grows. Ctrl+C stops gracefully; closing stops nothing.
 *
 * Command: sft-lab.showTerminal.
 */

import * as vscode from 'vscode';
import type { Launched } from '../../launch/launcher.js';
import type { Services } from '../services.js';
import { SessionTerminal } from './session-terminal.js';

export function register(_context: vscode.ExtensionContext, { launcher }: Services): vscode.Disposable {
  const opened = new Map<Launched, vscode.Terminal>();
  const show = (session: Launched): void => {
    const known = opened.get(session);
    if (known !== undefined) {
      known.show(true);
      return;
    }
    const terminal = vscode.window.createTerminal({
      name: 'SFT Lab',
      pty: new SessionTerminal(session),
      iconPath: new vscode.ThemeIcon('beaker'),
    });
    opened.set(session, terminal);
    terminal.show(true);
  };
  const forget = launcher.listen({ onSession: show });
  return vscode.Disposable.from(
    new vscode.Disposable(forget),
    vscode.window.onDidCloseTerminal((terminal) => {
      for (const [session, one] of opened) if (one === terminal) opened.delete(session);
    }),
  );
}

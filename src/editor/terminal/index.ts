/**
 * The run's terminal: what the trainer shows, as it shows it. Runs started from this window show their own screen; runs found alive
 * after a reload, or of another window, show `console.log` and go on as it grows; ended ones show how it ended. Ctrl+C stops gracefully;
 * closing stops nothing.
 *
 * Command: sft-lab.showTerminal (the folder of a run, or a node of the tree; without one it asks).
 */

import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { Launched } from '../../launch/launcher.js';
import { pickRuns } from '../runs/pick.js';
import type { Register, Services } from '../services.js';
import { LogTerminal } from './log-terminal.js';
import { SessionTerminal } from './session-terminal.js';

export const register: Register = (_context, services) => {
  const { launcher, runs } = services;
  /** By what they show: a session, or the log of a run. */
  const opened = new Map<Launched | string, vscode.Terminal>();
  const create = (key: Launched | string, name: string, pty: vscode.Pseudoterminal): void => {
    const terminal = vscode.window.createTerminal({
      name,
      pty,
      iconPath: new vscode.ThemeIcon('beaker'),
      // It shows what is there anyway: nothing of it has to be kept over a reload.
      isTransient: true,
    });
    opened.set(key, terminal);
    terminal.show(true);
  };
  const showSession = (session: Launched): void => {
    const known = opened.get(session);
    if (known !== undefined) known.show(true);
    else create(session, 'SFT Lab', new SessionTerminal(session, services));
  };
  const showRun = (folder: string): void => {
    const session = launcher.sessionOf(folder) ?? [...opened.keys()].find((key) => hasTrained(key, folder));
    if (session !== undefined && typeof session !== 'string') {
      showSession(session);
      return;
    }
    const known = opened.get(folder);
    if (known !== undefined) known.show(true);
    else create(folder, runs.get(folder)?.label ?? basename(folder), new LogTerminal(folder, services));
  };
  const forget = launcher.listen({ onSession: showSession });
  return vscode.Disposable.from(
    new vscode.Disposable(forget),
    vscode.commands.registerCommand('sft-lab.showTerminal', async (wanted?: unknown) => {
      const folder = folderOf(wanted) ?? (await oneRun(services));
      if (folder !== undefined) showRun(folder);
    }),
    vscode.window.onDidCloseTerminal((terminal) => {
      for (const [key, one] of opened) if (one === terminal) opened.delete(key);
    }),
  );
};

/** A screen that is still open shows the runs of its session after they have ended; until one is trained by another. */
function hasTrained(key: Launched | string, folder: string): boolean {
  return typeof key !== 'string' && key.currentRun === folder && key.kind !== 'compare';
}

/** Given by the tree or the panel. */
function folderOf(wanted: unknown): string | undefined {
  if (typeof wanted === 'string') return wanted;
  if (typeof wanted !== 'object' || wanted === null || !('kind' in wanted)) return undefined;
  if (wanted.kind === 'run' && 'folder' in wanted && typeof wanted.folder === 'string') return wanted.folder;
  if (wanted.kind === 'checkpoint' && 'run' in wanted && typeof wanted.run === 'string') return wanted.run;
  return undefined;
}

/** The one under way, else one that is picked. */
async function oneRun({ runs }: Services): Promise<string | undefined> {
  const live = runs.live();
  if (live.length === 1) return live[0]?.folder;
  const [picked] = await pickRuns(runs, { title: 'Run whose terminal is shown', many: false });
  return picked;
}

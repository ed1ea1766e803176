/**
 * Tells when a run or a comparison ends, with the reason and what can be done: *Resume*, *Show log*, *Open run*. Runs that were
 * found alive count as well as those started here; history does not. What a person stopped here is noted in the status bar.
 *
 * Setting: sft-lab.notifications (all, failures, none).
 */

import { join, sep } from 'node:path';
import * as vscode from 'vscode';
import { formatError } from '../../core/errors.js';
import { bestSentence, reportSchema } from '../../core/report.js';
import { readJson } from '../../runs/files.js';
import { type Ended, RunEnds } from '../../runs/run-ends.js';
import { exists } from '../../runs/run-folder.js';
import { plainMessage } from '../plain-message.js';
import { openLog } from '../runs/open-log.js';
import type { Register, Services } from '../services.js';
import { requireTrust, showError } from '../show-error.js';
import { Claims } from './claims.js';
import { type Telling, tellingOfComparison, tellingOfRun } from './words.js';

/** Until then a run may be resumed, or another window, in which a person works, may have told. */
const focusedDelayMs = 1000;
const otherDelayMs = 3000;
/** What was stopped here is ours to note: before other windows, but not before the last event was read. */
const askedDelayMs = 300;
const noteMs = 6000;

export const register: Register = (context, services) => {
  const { runs, launcher } = services;
  const ends = new RunEnds();
  const claims = new Claims(join(context.globalStorageUri.fsPath, 'told'));
  void claims.clean();
  /** Folders of runs and comparisons that a person here asked to stop. */
  const stopped = new Set<string>();
  const timers = new Set<NodeJS.Timeout>();

  const tellLater = (end: Ended): void => {
    const asked = stopped.delete(folderOf(end)) && isStop(end);
    const wait = asked ? askedDelayMs : vscode.window.state.focused ? focusedDelayMs : otherDelayMs;
    const timer = setTimeout(() => {
      timers.delete(timer);
      void tell(services, claims, end, asked).catch((error: unknown) => services.output.error(formatError(error)));
    }, wait);
    timers.add(timer);
  };
  const look = (folders: Iterable<string>): void => {
    const rows = [...folders].flatMap((folder) => runs.get(folder) ?? []);
    for (const end of ends.update(rows, runs.experiments())) tellLater(end);
  };
  look(runs.live().map(({ folder }) => folder));
  const forget = launcher.listen({
    onRun: (folder, session) => {
      stopped.delete(folder);
      ends.expect(folder, session.kind !== 'compare');
    },
    onStopAsked: (folder) => stopped.add(folder),
  });
  return vscode.Disposable.from(
    runs.onDidChange((change) => look(change.runs)),
    new vscode.Disposable(forget),
    new vscode.Disposable(() => {
      for (const timer of timers) clearTimeout(timer);
    }),
  );
};

function folderOf(end: Ended): string {
  return end.kind === 'run' ? end.row.folder : end.folder;
}

function isStop(end: Ended): boolean {
  return end.kind === 'run' ? end.ended === 'stopped' : true;
}

async function tell(services: Services, claims: Claims, end: Ended, asked: boolean): Promise<void> {
  // A window that is frozen or has lost its connection answers late or never: it must not claim what it cannot show.
  await vscode.commands.executeCommand('setContext', 'sft-lab.answers', true);
  const telling = await tellingOf(services, end);
  // One end has one name in all windows.
  const name = end.kind === 'run' ? `${end.ended} ${end.row.updatedAt}` : end.token;
  if (telling === undefined || !(await claims.claim(`${folderOf(end)}\n${name}`))) return;
  const { severity, text } = telling;
  const message = plainMessage(shortened(text));
  if (asked) {
    vscode.window.setStatusBarMessage(`$(debug-pause) ${message.replaceAll('$(', '$ (')}`, noteMs);
    return;
  }
  const wanted = vscode.workspace.getConfiguration('sft-lab').get<string>('notifications', 'all');
  if (wanted === 'none' || (wanted === 'failures' && severity === 'info')) return;
  const show = {
    info: vscode.window.showInformationMessage,
    warning: vscode.window.showWarningMessage,
    error: vscode.window.showErrorMessage,
  }[severity];
  const actions = await actionsOf(services, end);
  const chosen = await show(message, ...actions.map(({ title }) => title));
  try {
    await actions.find(({ title }) => title === chosen)?.work();
  } catch (error) {
    showError(services.output, error);
  }
}

/** Undefined where it is over: resumed in the meantime, or deleted. */
async function tellingOf({ runs }: Services, end: Ended): Promise<Telling | undefined> {
  if (end.kind === 'run') {
    const row = runs.get(end.row.folder);
    return row?.state === end.ended ? tellingOfRun(row, end.ended) : undefined;
  }
  const experiment = runs.experiments().find(({ folder }) => folder === end.folder);
  if (experiment === undefined || experiment.holder !== undefined) return undefined;
  // The report says which run is best, and was written before the comparison ended.
  const report = await readJson(join(end.folder, 'report.json'), reportSchema).catch(() => undefined);
  return tellingOfComparison(experiment, report === undefined ? undefined : bestSentence(report));
}

/** Files of the workspace as from its folder. */
function shortened(text: string): string {
  return (vscode.workspace.workspaceFolders ?? []).reduce(
    (all, { uri }) => all.replaceAll(`${uri.fsPath}${sep}`, ''),
    text,
  );
}

interface Action {
  readonly title: string;
  readonly work: () => Promise<unknown>;
}

async function actionsOf({ launcher, runs }: Services, end: Ended): Promise<Action[]> {
  const command = async (id: string, ...args: unknown[]): Promise<unknown> =>
    vscode.commands.executeCommand(id, ...args);
  if (end.kind === 'comparison') {
    const report = join(end.folder, 'report.md');
    const rows = runs.experiments().find(({ folder }) => folder === end.folder)?.runs ?? [];
    const made = rows.filter(({ state }) => state !== 'queued').map((row) => row.folder);
    return [
      { title: 'Open Runs', work: () => command('sft-lab.openRun', made) },
      ...((await exists(report))
        ? [{ title: 'Show Report', work: () => command('markdown.showPreview', vscode.Uri.file(report)) }]
        : []),
    ];
  }
  const { folder } = end.row;
  const show: Action[] = [
    { title: 'Show Log', work: () => openLog(folder) },
    { title: 'Open Run', work: () => command('sft-lab.openRun', folder) },
  ];
  if (end.ended === 'finished') return show.reverse();
  // In a folder that is not trusted nothing is started; asked when it is chosen, since trust may come in between.
  const resume = async (): Promise<void> => {
    requireTrust();
    await launcher.resume(folder);
  };
  const again: Action = { title: 'Resume', work: resume };
  // What failed would fail again, until somebody knows why.
  return end.ended === 'failed' ? [...show, again] : [again, ...show];
}

/** Renames a run or an experiment: what it is called, not its folder (see `src/runs/label.ts`). */

import { basename } from 'node:path';
import * as vscode from 'vscode';
import { labelMistake, writeLabel } from '../../runs/label.js';
import { refreshReport } from '../../runs/report.js';
import type { Services } from '../services.js';
import type { Node } from './nodes.js';

export async function rename({ runs }: Services, node: Node): Promise<void> {
  if (node.kind === 'checkpoint') return;
  const { folder } = node;
  const run = node.kind === 'run' ? runs.get(folder) : undefined;
  const experiment = runs.experiment(run?.experimentFolder ?? folder);
  const label = (node.kind === 'run' ? run : experiment)?.label ?? basename(folder);
  const text = await vscode.window.showInputBox({
    title: node.kind === 'run' ? 'Rename run' : 'Rename experiment',
    prompt: `Its folder stays “${basename(folder)}”. Empty: its first name again.`,
    value: label,
    validateInput: (value) => labelMistake(value),
  });
  if (text === undefined || text.trim() === label) return;
  await writeLabel(folder, text);
  runs.touch(folder);
  if (experiment !== undefined) await refreshReport(experiment.folder);
}

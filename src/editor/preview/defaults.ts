/** What a data set is looked at with where nobody chose otherwise: the model of the last preview, and the evaluation set beside it. */

import { dirname, join } from 'node:path';
import type * as vscode from 'vscode';
import { starterName } from '../../data/models.js';
import { evaluationChoices } from '../form/choices.js';

const modelKey = 'sft-lab.preview.model';

export function chosenModel(context: vscode.ExtensionContext): string {
  const kept = context.workspaceState.get<unknown>(modelKey);
  return typeof kept === 'string' ? kept : starterName;
}

export async function keepModel(context: vscode.ExtensionContext, model: string): Promise<void> {
  await context.workspaceState.update(modelKey, model);
}

/** The data set that Fine-tune would evaluate on, if there is one. */
export async function sisterOf(path: string): Promise<string[]> {
  const { choices, first } = await evaluationChoices(path).catch(() => ({ choices: [], first: '' }));
  const sister = choices.find(({ value }) => value === first && /\.[a-z]+$/i.test(value));
  return sister === undefined ? [] : [join(dirname(path), sister.value)];
}

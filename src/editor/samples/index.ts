/**
 * Samples: what the model said at each evaluation of one run or of many, and how it changed.
 *
 * Command: sft-lab.openSamples (the folder of a run, or several, and a step; without a folder it asks).
 */

import * as vscode from 'vscode';
import { samplesState } from '../../core/view/samples.js';
import { registerRunsView } from '../runs/view.js';
import type { Register } from '../services.js';
import { SampleDocuments } from './documents.js';
import { SamplesPanel } from './panel.js';

export const register: Register = (context, services) => {
  const documents = new SampleDocuments();
  const view = registerRunsView(context, services, {
    command: 'sft-lab.openSamples',
    viewType: 'sft-lab.samples',
    title: 'Samples',
    folders: (state) => samplesState.safeParse(state).data?.keys ?? [],
    open: (panel, folders) => new SamplesPanel(panel, context, services, documents, folders),
  });
  return vscode.Disposable.from(documents, view);
};

/**
 * The run panel: the curves of one run, or of many together.
 *
 * Command: sft-lab.openRun (the folder of a run, or several; without one it asks).
 */

import { panelState } from '../../core/view/run-panel.js';
import { registerRunsView } from '../runs/view.js';
import type { Register } from '../services.js';
import { RunPanel } from './run-panel.js';

export const register: Register = (context, services) =>
  registerRunsView(context, services, {
    command: 'sft-lab.openRun',
    viewType: 'sft-lab.runPanel',
    title: 'Run',
    folders: (state) => panelState.safeParse(state).data?.keys ?? [],
    open: (panel, folders) => new RunPanel(panel, context, services, folders),
  });

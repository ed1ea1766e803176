/** ▶ Run · Compare · Open run, above the config. */

import { basename, dirname, resolve } from 'node:path';
import * as vscode from 'vscode';
import { experimentNameOf, variantsOf } from '../../core/experiment.js';
import { editorPath } from '../../core/paths.js';
import type { RunRow, RunStore } from '../runs/store.js';
import { isConfig } from './diagnostics.js';

export class ConfigLenses implements vscode.CodeLensProvider, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChangeCodeLenses = this.changed.event;
  private readonly owned: vscode.Disposable;

  constructor(private readonly runs: RunStore) {
    this.owned = vscode.Disposable.from(
      this.changed,
      vscode.languages.registerCodeLensProvider({ scheme: 'file', pattern: '**/*.sft.json' }, this),
      // What is shown depends on which runs there are, not on how far they are.
      runs.onDidChange(({ structure }) => {
        if (structure) this.changed.fire();
      }),
      vscode.workspace.onDidGrantWorkspaceTrust(() => this.changed.fire()),
    );
  }

  provideCodeLenses(document: vscode.TextDocument): vscode.CodeLens[] {
    if (!isConfig(document) || !vscode.workspace.isTrusted) return [];
    const { uri } = document;
    const top = new vscode.Range(0, 0, 0, 0);
    const lens = (title: string, command: string, tooltip: string): vscode.CodeLens =>
      new vscode.CodeLens(top, { title, command, tooltip, arguments: [uri] });
    const count = variantCount(document.getText());
    const newest = newestRun(this.runs, uri.fsPath, document.getText());
    return [
      lens('$(play) Run', 'sft-lab.run', 'Train one run with these values'),
      lens(
        count === undefined ? 'Compare' : `Compare (${count} runs)`,
        'sft-lab.compare',
        count === undefined
          ? 'Train completion and all × 1, 2, 3 epochs, and compare'
          : 'Train every combination of the axes, and compare',
      ),
      ...(newest === undefined ? [] : [lens('Open run', 'sft-lab.openRunOfConfig', `Open ${newest.label}`)]),
    ];
  }

  dispose(): void {
    this.owned.dispose();
  }
}

/** Runs of the comparison that the text describes; undefined where it has no axes. */
function variantCount(text: string): number | undefined {
  try {
    const config: unknown = JSON.parse(text);
    if (typeof config !== 'object' || config === null || !('compare' in config)) return undefined;
    const { compare } = config;
    if (typeof compare !== 'object' || compare === null) return undefined;
    const axes = Object.entries(compare).filter((axis): axis is [string, unknown[]] => Array.isArray(axis[1]));
    return variantsOf(Object.fromEntries(axes)).length;
  } catch {
    // Not JSON now, or more runs than a comparison may have: its problem is marked.
    return undefined;
  }
}

/** The run started last from a config file, or in the experiment that it names. */
export function newestRun(runs: RunStore, file: string, text: string): RunRow | undefined {
  const { experiment, outputDir } = destinationOf(file, text);
  return runs
    .experiments()
    .flatMap((one) => one.runs)
    .filter((run) => run.kind === 'train')
    .filter(
      (run) => editorPath(run.configFile ?? '') === file || (run.experiment === experiment && inFolder(run, outputDir)),
    )
    .sort((a, b) => (b.created ?? '').localeCompare(a.created ?? ''))[0];
}

function inFolder({ experimentFolder }: RunRow, outputDir: string): boolean {
  return dirname(experimentFolder) === outputDir;
}

/** Where runs of the config go. */
export function destinationOf(file: string, text: string): { experiment: string; outputDir: string } {
  let config: { experiment?: unknown; output_dir?: unknown } = {};
  try {
    config = { ...JSON.parse(text) };
  } catch {
    // Not JSON now: as if it said nothing.
  }
  const { experiment, output_dir: output } = config;
  return {
    experiment:
      typeof experiment === 'string' ? experiment : experimentNameOf(basename(file).replace(/\.sft\.json$/i, '')),
    outputDir: editorPath(resolve(dirname(file), typeof output === 'string' ? output : '.sft')),
  };
}

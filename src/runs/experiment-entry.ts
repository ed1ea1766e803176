/** One experiment as the list of runs knows it: its own files, and its runs. */

import { basename, join } from 'node:path';
import { type Experiment, experimentSchema } from '../core/experiment.js';
import { labelFile, readLabel } from './label.js';
import { type LockContent, lockHolder } from './lock.js';
import { folderNames, markOf, readAs, timeOf } from './marks.js';
import { RunEntry } from './run-entry.js';
import type { ExperimentRow, RunRow } from './run-rows.js';

export class ExperimentEntry {
  readonly name: string;
  /** By the names of their folders. */
  readonly runs = new Map<string, RunEntry>();
  /** The process that works through the comparison. */
  holder: LockContent | undefined;
  private comparison: Experiment | undefined;
  private planMark = '';
  /** As a person renamed it. */
  private label_: string | undefined;
  private labelMark = '';
  private mark = '';

  constructor(readonly folder: string) {
    this.name = basename(folder);
  }

  get label(): string {
    return this.label_ ?? this.name;
  }

  get row(): ExperimentRow {
    const { folder, name, label, comparison, holder } = this;
    const runRows = (): RunRow[] => [...Array.from(this.runs.values(), (run) => run.row), ...this.planned()];
    return {
      folder,
      name,
      label,
      comparison,
      holder,
      changedAt: timeOf(this.mark),
      // Many ask for experiments, few for thousands of rows.
      get runs() {
        return runRows();
      },
    };
  }

  /** Reads its own files where they changed. */
  look(): { readonly changed: boolean; readonly renamed: boolean } {
    const file = join(this.folder, 'experiment.json');
    const planMark = markOf(file);
    const planned = planMark !== this.planMark;
    if (planned) {
      this.planMark = planMark;
      this.comparison = planMark === '' ? undefined : readAs(file, experimentSchema);
    }
    const labelMark = markOf(join(this.folder, labelFile));
    const renamed = labelMark !== this.labelMark;
    if (renamed) {
      this.labelMark = labelMark;
      this.label_ = labelMark === '' ? undefined : readLabel(this.folder);
      for (const run of this.runs.values()) run.drawAgain();
    }
    const holder = lockHolder(this.folder);
    const held = holder?.pid !== this.holder?.pid;
    this.holder = holder;
    return { changed: planned || renamed || held, renamed };
  }

  /** The folders in it, where one came or went since the last call: its own time tells. */
  list(): Set<string> | undefined {
    const mark = markOf(this.folder);
    if (mark === this.mark) return undefined;
    this.mark = mark;
    return new Set(folderNames(this.folder));
  }

  /** Runs that a comparison under way has yet to make. */
  private planned(): RunRow[] {
    if (this.comparison === undefined || this.holder === undefined) return [];
    return this.comparison.runs
      .filter(({ name }) => !this.runs.has(name))
      .map(({ name, label, values }) => ({ ...new RunEntry(this, name, undefined).row, label, config: values }));
  }
}

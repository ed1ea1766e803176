/**
 * All runs in some output folders, kept up to date: what lists and status displays show. Names come at once; what the files
 * say follows in slices of some milliseconds, so that thousands of runs hold nobody up. Live runs are looked at twice a second,
 * the others in turns.
 */

import { join } from 'node:path';
import { setImmediate as pause } from 'node:timers/promises';
import { digestChunkBytes } from './digest.js';
import { ExperimentEntry } from './experiment-entry.js';
import { folderNames } from './marks.js';
import { RunEntry } from './run-entry.js';
import type { ExperimentRow, IndexChange, RowState, RunRow } from './run-rows.js';

export type { ExperimentRow, IndexChange, RowState, RunRow };

const sliceMs = 8;
const tickMs = 500;
/** Runs that are not live, looked at in one tick. */
const othersPerTick = 125;

export class RunIndex {
  private roots: readonly string[] = [];
  private readonly experiments_ = new Map<string, ExperimentEntry>();
  private readonly entries = new Map<string, RunEntry>();
  private readonly listeners = new Set<(change: IndexChange) => void>();
  private readonly cache: Map<string, string>;
  /** What logs are read into, one after the other. */
  private readonly scratch = Buffer.allocUnsafeSlow(digestChunkBytes);
  private changed = new Set<string>();
  private structure = false;
  private timer: NodeJS.Timeout | undefined;
  private working: Promise<void> | undefined;
  private ticks = 0;
  private turn = 0;
  private closed = false;

  /** @param cache what `snapshot` gave in an earlier session; each text is read and checked when its run is looked at */
  constructor(cache: Iterable<readonly [string, string]> = []) {
    this.cache = new Map(cache);
  }

  onChange(listener: (change: IndexChange) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Output folders to look into. Resolves when all that is new has been read. */
  async setRoots(roots: readonly string[]): Promise<void> {
    this.roots = [...new Set(roots)];
    const known = new Set(this.entries.values());
    this.scan();
    this.emit();
    await this.work([...this.entries.values()].filter((entry) => !known.has(entry)));
    if (this.closed) return;
    this.timer ??= setInterval(() => void this.tick(), tickMs);
  }

  close(): void {
    this.closed = true;
    clearInterval(this.timer);
    this.listeners.clear();
  }

  experiments(): ExperimentRow[] {
    return Array.from(this.experiments_.values(), ({ row }) => row);
  }

  experiment(folder: string): ExperimentRow | undefined {
    return this.experiments_.get(folder)?.row;
  }

  get(folder: string): RunRow | undefined {
    return this.entries.get(folder)?.row;
  }

  live(): RunRow[] {
    return [...this.entries.values()].filter(({ holder }) => holder !== undefined).map(({ row }) => row);
  }

  /** Reads the runs of an experiment that nobody has looked at yet, before those whose turn it is; undefined: all are known. */
  read(folder: string): Promise<void> | undefined {
    const unread = Array.from(this.experiments_.get(folder)?.runs.values() ?? []).filter(({ known }) => !known);
    return unread.length === 0 ? undefined : this.inSlices(unread);
  }

  /** Looks at everything again. */
  async refresh(): Promise<void> {
    this.scan();
    this.emit();
    await this.work([...this.entries.values()]);
  }

  /** Looks at one run now; its folder may be new. */
  touch(folder: string): void {
    if (!this.entries.has(folder)) this.scan();
    const entry = this.entries.get(folder);
    if (entry !== undefined) this.look(entry);
    this.emit();
  }

  /** What a later session starts from, so that it reads only what is new: a text for each run's folder. */
  *snapshot(): Generator<[string, string]> {
    for (const { folder, cacheText } of this.entries.values()) if (cacheText !== undefined) yield [folder, cacheText];
  }

  private async tick(): Promise<void> {
    if (this.working !== undefined) return;
    this.ticks++;
    if (this.ticks % 2 === 0) this.scan();
    const all = [...this.entries.values()];
    const live = all.filter(({ holder }) => holder !== undefined);
    this.turn %= Math.max(1, all.length);
    const others = all.slice(this.turn, this.turn + othersPerTick);
    this.turn += othersPerTick;
    await this.work([...new Set([...live, ...others])]);
  }

  /** Looks at runs after those that are being looked at. */
  private work(entries: readonly RunEntry[]): Promise<void> {
    const before = this.working ?? Promise.resolve();
    const mine = before.then(() => this.inSlices(entries));
    this.working = mine;
    const done = (): void => {
      if (this.working === mine) this.working = undefined;
    };
    mine.then(done, done);
    return mine;
  }

  /** Says after each slice what changed. */
  private async inSlices(entries: readonly RunEntry[]): Promise<void> {
    let began = performance.now();
    for (const entry of entries) {
      for (let complete = false; !complete && !this.closed; ) {
        complete = this.look(entry);
        if (performance.now() - began < sliceMs) continue;
        this.emit();
        await pause();
        began = performance.now();
      }
    }
    this.emit();
  }

  /** Which experiments and runs there are. Folders tell by their time whether something came or went. */
  private scan(): void {
    const seen = new Set<string>();
    for (const root of this.roots) {
      for (const name of folderNames(root)) {
        const folder = join(root, name);
        seen.add(folder);
        this.scanExperiment(folder);
      }
    }
    for (const [folder, experiment] of this.experiments_) {
      if (seen.has(folder)) continue;
      for (const entry of experiment.runs.values()) this.forget(experiment, entry);
      this.experiments_.delete(folder);
      this.structure = true;
    }
  }

  private scanExperiment(folder: string): void {
    let experiment = this.experiments_.get(folder);
    if (experiment === undefined) {
      experiment = new ExperimentEntry(folder);
      this.experiments_.set(folder, experiment);
      this.structure = true;
    }
    const { changed, renamed } = experiment.look();
    this.structure ||= changed;
    if (renamed) for (const entry of experiment.runs.values()) this.changed.add(entry.folder);
    const names = experiment.list();
    if (names === undefined) return;
    for (const entry of experiment.runs.values()) if (!names.has(entry.name)) this.forget(experiment, entry);
    for (const name of names) if (!experiment.runs.has(name)) this.add(experiment, name);
  }

  private add(experiment: ExperimentEntry, name: string): void {
    const folder = join(experiment.folder, name);
    const entry = new RunEntry(experiment, name, this.cache.get(folder));
    this.cache.delete(folder);
    experiment.runs.set(name, entry);
    this.entries.set(folder, entry);
    this.structure = true;
  }

  private forget(experiment: ExperimentEntry, entry: RunEntry): void {
    experiment.runs.delete(entry.name);
    this.entries.delete(entry.folder);
    this.structure = true;
  }

  /** Reads what is new of a run; false where there is more to read. */
  private look(entry: RunEntry): boolean {
    // It may have gone since it was its turn.
    if (this.entries.get(entry.folder) !== entry) return true;
    const found = entry.look(this.scratch);
    if (found === 'none') {
      const experiment = this.experiments_.get(entry.experiment.folder);
      if (experiment !== undefined) this.forget(experiment, entry);
      return true;
    }
    if (entry.changed) this.changed.add(entry.folder);
    return found === 'whole';
  }

  private emit(): void {
    if (!this.structure && this.changed.size === 0) return;
    const change: IndexChange = { structure: this.structure, runs: this.changed };
    this.structure = false;
    this.changed = new Set();
    for (const listener of this.listeners) listener(change);
  }
}

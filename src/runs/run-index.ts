/**
 * All runs in some output folders, kept up to date: what lists and status displays show. Names come at once; what the files
 * say follows in slices of some milliseconds, so that thousands of runs hold nobody up. Live runs are looked at every second,
 * the others in turns.
 */

import { type Dirent, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as pause } from 'node:timers/promises';
import * as z from 'zod';
import { type Experiment, experimentSchema, type RunInfo, runInfoSchema } from '../core/experiment.js';
import { runStateOf } from '../core/history.js';
import { bestOf, digestChunkBytes, digestSchema, emptyDigest, type RunDigest, readDigest } from './digest.js';
import { labelFile, readLabel } from './label.js';
import { type LockContent, lockHolder } from './lock.js';
import type { ExperimentRow, IndexChange, RowState, RunRow } from './run-rows.js';

export type { ExperimentRow, IndexChange, RowState, RunRow };

interface Entry {
  readonly folder: string;
  readonly name: string;
  readonly experimentFolder: string;
  info: RunInfo | undefined;
  digest: RunDigest;
  /** Size and time of the log when it was last read. */
  mark: string;
  /** As a person renamed it. */
  label: string | undefined;
  labelMark: string;
  holder: LockContent | undefined;
  row: RunRow | undefined;
}

interface Folder {
  readonly folder: string;
  readonly entries: Map<string, Entry>;
  mark: string;
  planMark: string;
  label: string | undefined;
  labelMark: string;
  comparison: Experiment | undefined;
  holder: LockContent | undefined;
}

const cachedSchema = z.object({ mark: z.string(), info: runInfoSchema, digest: digestSchema });

const sliceMs = 8;
const tickMs = 1000;
/** Runs that are not live, looked at in one tick. */
const othersPerTick = 250;

export class RunIndex {
  private roots: readonly string[] = [];
  private readonly experiments_ = new Map<string, Folder>();
  private readonly entries = new Map<string, Entry>();
  private readonly listeners = new Set<(change: IndexChange) => void>();
  private readonly cache: Map<string, string>;
  /** What logs are read into, one after the other. */
  private readonly scratch = Buffer.allocUnsafeSlow(digestChunkBytes);
  private changed = new Set<string>();
  private structure = false;
  private timer: NodeJS.Timeout | undefined;
  private working: Promise<void> | undefined;
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

  /** Output folders to look into. Resolves when all that is there has been read. */
  async setRoots(roots: readonly string[]): Promise<void> {
    this.roots = [...new Set(roots)];
    await this.refresh();
    if (this.closed) return;
    this.timer ??= setInterval(() => void this.tick(), tickMs);
  }

  close(): void {
    this.closed = true;
    clearInterval(this.timer);
    this.listeners.clear();
  }

  experiments(): ExperimentRow[] {
    return [...this.experiments_.values()].map((experiment) => ({
      folder: experiment.folder,
      name: lastPart(experiment.folder),
      label: experiment.label ?? lastPart(experiment.folder),
      comparison: experiment.comparison,
      holder: experiment.holder,
      runs: [...[...experiment.entries.values()].map((entry) => this.rowOf(entry)), ...this.planned(experiment)],
    }));
  }

  get(folder: string): RunRow | undefined {
    const entry = this.entries.get(folder);
    return entry === undefined ? undefined : this.rowOf(entry);
  }

  live(): RunRow[] {
    return [...this.entries.values()].filter(({ holder }) => holder !== undefined).map((entry) => this.rowOf(entry));
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
    for (const { folder, mark, info, digest } of this.entries.values()) {
      if (info !== undefined) yield [folder, JSON.stringify({ mark, info, digest })];
    }
  }

  private async tick(): Promise<void> {
    if (this.working !== undefined) return;
    this.scan();
    const all = [...this.entries.values()];
    const live = all.filter(({ holder }) => holder !== undefined);
    this.turn %= Math.max(1, all.length);
    const others = all.slice(this.turn, this.turn + othersPerTick);
    this.turn += othersPerTick;
    await this.work([...new Set([...live, ...others])]);
  }

  /** Looks at runs in slices, and says what changed after each. */
  private work(entries: readonly Entry[]): Promise<void> {
    const before = this.working ?? Promise.resolve();
    const mine = before.then(async () => {
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
    });
    this.working = mine;
    const done = (): void => {
      if (this.working === mine) this.working = undefined;
    };
    mine.then(done, done);
    return mine;
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
      for (const entry of experiment.entries.values()) this.forget(experiment, entry);
      this.experiments_.delete(folder);
      this.structure = true;
    }
  }

  private scanExperiment(folder: string): void {
    const mark = markOf(folder);
    let experiment = this.experiments_.get(folder);
    if (experiment === undefined) {
      experiment = {
        folder,
        entries: new Map(),
        mark: '',
        planMark: '',
        label: undefined,
        labelMark: '',
        comparison: undefined,
        holder: undefined,
      };
      this.experiments_.set(folder, experiment);
      this.structure = true;
    }
    this.lookAtPlan(experiment);
    if (experiment.mark === mark) return;
    experiment.mark = mark;
    const names = new Set(folderNames(folder));
    for (const entry of experiment.entries.values()) if (!names.has(entry.name)) this.forget(experiment, entry);
    for (const name of names) if (!experiment.entries.has(name)) this.add(experiment, name);
  }

  private lookAtPlan(experiment: Folder): void {
    const file = join(experiment.folder, 'experiment.json');
    const mark = markOf(file);
    if (mark !== experiment.planMark) {
      experiment.planMark = mark;
      experiment.comparison = mark === '' ? undefined : readAs(file, experimentSchema);
      this.structure = true;
    }
    const labelMark = markOf(join(experiment.folder, labelFile));
    if (labelMark !== experiment.labelMark) {
      experiment.labelMark = labelMark;
      experiment.label = labelMark === '' ? undefined : readLabel(experiment.folder);
      this.structure = true;
      for (const entry of experiment.entries.values()) {
        entry.row = undefined;
        this.changed.add(entry.folder);
      }
    }
    const holder = heldBy(experiment.folder);
    if (holder?.pid !== experiment.holder?.pid) this.structure = true;
    experiment.holder = holder;
  }

  private add(experiment: Folder, name: string): void {
    const folder = join(experiment.folder, name);
    const entry: Entry = {
      folder,
      name,
      experimentFolder: experiment.folder,
      info: undefined,
      digest: emptyDigest(),
      mark: '',
      label: undefined,
      labelMark: '',
      holder: undefined,
      row: undefined,
    };
    experiment.entries.set(name, entry);
    this.entries.set(folder, entry);
    this.structure = true;
  }

  private forget(experiment: Folder, entry: Entry): void {
    experiment.entries.delete(entry.name);
    this.entries.delete(entry.folder);
    this.structure = true;
  }

  /** Reads what is new of a run; false where there is more to read. */
  private look(entry: Entry): boolean {
    const experiment = this.experiments_.get(entry.experimentFolder);
    if (experiment?.entries.get(entry.name) !== entry) return true;
    const log = join(entry.folder, 'events.jsonl');
    // The lock first: a process lets go of it after its last event, so that a run without one has no more to say.
    const holder = heldBy(entry.folder);
    const mark = markOf(log);
    let complete = true;
    if (entry.info === undefined) this.recall(entry);
    if (entry.info === undefined) {
      entry.info = readAs(join(entry.folder, 'run.json'), runInfoSchema);
      if (entry.info === undefined) {
        // A folder that is no run.
        this.forget(experiment, entry);
        return true;
      }
      entry.row = undefined;
    }
    if (mark !== entry.mark) {
      try {
        ({ digest: entry.digest, complete } = readDigest(log, entry.digest, this.scratch));
      } catch {
        // Not readable now; the next look tries again.
      }
      if (complete) entry.mark = mark;
      entry.row = undefined;
    }
    const labelMark = markOf(join(entry.folder, labelFile));
    if (labelMark !== entry.labelMark) {
      entry.labelMark = labelMark;
      entry.label = labelMark === '' ? undefined : readLabel(entry.folder);
      entry.row = undefined;
    }
    // It has not ended for us before its end has been read: half of a log looks as if its process had been killed.
    if (holder?.token !== entry.holder?.token && (holder !== undefined || complete)) {
      // Network file systems may show the end of the lock before the end of the log: look once more.
      if (holder === undefined) entry.mark = '';
      entry.holder = holder;
      entry.row = undefined;
    }
    if (entry.row === undefined) this.changed.add(entry.folder);
    return complete;
  }

  /** What an earlier session knew of a run. */
  private recall(entry: Entry): void {
    const text = this.cache.get(entry.folder);
    if (text === undefined) return;
    this.cache.delete(entry.folder);
    const cached = parseAs(text, cachedSchema);
    if (cached === undefined) return;
    ({ info: entry.info, digest: entry.digest, mark: entry.mark } = cached);
    entry.row = undefined;
  }

  private rowOf(entry: Entry): RunRow {
    if (entry.row !== undefined) return entry.row;
    const { folder, name, experimentFolder, info, digest, holder } = entry;
    const experiment = lastPart(experimentFolder);
    const state = runStateOf(digest.status ?? undefined, holder !== undefined);
    entry.row = {
      folder,
      name,
      label: entry.label ?? info?.label ?? name,
      experiment,
      experimentFolder,
      experimentLabel: this.experiments_.get(experimentFolder)?.label ?? experiment,
      kind: info?.kind ?? 'train',
      state:
        state === 'created' ? 'queued' : state === 'interrupted' && digest.status === 'interrupted' ? 'stopped' : state,
      reason: digest.reason ?? undefined,
      step: digest.step,
      totalSteps: digest.totalSteps,
      epoch: digest.epoch,
      loss: digest.loss ?? undefined,
      best: bestOf(digest),
      secondsPerStep: digest.secondsPerStep ?? undefined,
      tokensPerSecond: digest.tokensPerSecond ?? undefined,
      trainSeconds: digest.trainSeconds,
      created: info?.created,
      startedAt: digest.startedAt ?? undefined,
      updatedAt: digest.updatedAt ?? undefined,
      configFile: info?.configFile ?? undefined,
      config: info?.config ?? {},
      holder,
    };
    return entry.row;
  }

  /** Runs that a comparison under way has yet to make. */
  private planned({ comparison, holder, folder, entries }: Folder): RunRow[] {
    if (comparison === undefined || holder === undefined) return [];
    return comparison.runs
      .filter(({ name }) => !entries.has(name))
      .map(({ name, label, values }) => ({
        ...this.rowOf({
          folder: join(folder, name),
          name,
          experimentFolder: folder,
          info: undefined,
          digest: emptyDigest(),
          mark: '',
          label: undefined,
          labelMark: '',
          holder: undefined,
          row: undefined,
        }),
        label,
        config: values,
      }));
  }

  private emit(): void {
    if (!this.structure && this.changed.size === 0) return;
    const change: IndexChange = { structure: this.structure, runs: this.changed };
    this.structure = false;
    this.changed = new Set();
    for (const listener of this.listeners) listener(change);
  }
}

/** Folders in a folder, without hidden ones. */
function folderNames(folder: string): string[] {
  let entries: Dirent[];
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
  return entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.')).map(({ name }) => name);
}

/** Changes when a file does; empty where there is none. */
function markOf(path: string): string {
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    return found === undefined ? '' : `${found.ino}:${found.size}:${found.mtimeMs}`;
  } catch {
    return '';
  }
}

/** A cheap look first: most runs have no lock. */
function heldBy(folder: string): LockContent | undefined {
  return markOf(join(folder, 'run.lock')) === '' ? undefined : lockHolder(folder);
}

function readAs<T>(file: string, schema: z.ZodType<T>): T | undefined {
  try {
    return parseAs(readFileSync(file, 'utf8'), schema);
  } catch {
    return undefined;
  }
}

function parseAs<T>(text: string, schema: z.ZodType<T>): T | undefined {
  try {
    const parsed = schema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

function lastPart(path: string): string {
  return path.split(/[/\\]/).filter(Boolean).at(-1) ?? path;
}

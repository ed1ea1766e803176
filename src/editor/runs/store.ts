/** The runs of the workspace, as all surfaces share them: a list that stays live, and the events of each run on demand. */

import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import * as vscode from 'vscode';
import type { RunEvent } from '../../core/events.js';
import { editorPath } from '../../core/paths.js';
import { type EventBatch, EventFollower } from '../../runs/follow.js';
import { openRun, type Run } from '../../runs/run-folder.js';
import { type ExperimentRow, type IndexChange, RunIndex, type RunRow } from '../../runs/run-index.js';
import { RunCache } from './cache.js';

export type { EventBatch, ExperimentRow, IndexChange, RunRow };

const rootsKey = 'sft-lab.outputFolders';
const mostConfigs = 500;

export class RunStore implements vscode.Disposable {
  /** Runs changed, came or went; at most some times a second. */
  readonly onDidChange: vscode.Event<IndexChange>;
  private readonly changed = new vscode.EventEmitter<IndexChange>();
  private readonly followers = new Map<string, Set<EventFollower>>();
  private readonly owned: vscode.Disposable[] = [this.changed];
  private roots_: readonly string[] = [];
  /** Resolves when what was there as the window opened has been looked at. */
  readonly ready: Promise<void>;

  private constructor(
    private readonly context: vscode.ExtensionContext,
    private readonly output: vscode.LogOutputChannel,
    private readonly index: RunIndex,
    private readonly cache: RunCache,
  ) {
    this.onDidChange = this.changed.event;
    index.onChange((change) => this.changed.fire(change));
    // The editor's own notices of new runs and locks; where they do not reach, the index looks by itself.
    for (const pattern of ['**/run.lock', '**/run.json', '**/label.json', '**/*.sft.json']) {
      const watcher = vscode.workspace.createFileSystemWatcher(pattern);
      const look = ({ fsPath }: vscode.Uri): void => {
        if (pattern === '**/*.sft.json') void this.findRoots();
        else if (this.isOfRun(fsPath)) this.index.touch(dirname(fsPath));
      };
      watcher.onDidCreate(look);
      watcher.onDidDelete(look);
      if (pattern === '**/*.sft.json' || pattern === '**/label.json') watcher.onDidChange(look);
      this.owned.push(watcher);
    }
    this.owned.push(vscode.workspace.onDidChangeWorkspaceFolders(() => void this.findRoots()));
    this.ready = this.lookInto([]);
  }

  /** Resolves at once; what the folders hold follows by `onDidChange`. */
  static async create(context: vscode.ExtensionContext, output: vscode.LogOutputChannel): Promise<RunStore> {
    const cache = new RunCache(context.storageUri?.fsPath);
    const began = performance.now();
    const store = new RunStore(context, output, new RunIndex(await cache.read()), cache);
    void store.ready.then(() => {
      const runs = store.experiments().reduce((sum, experiment) => sum + experiment.runs.length, 0);
      output.info(`${runs} runs were read in ${Math.round(performance.now() - began)} ms`);
    });
    void store
      .findRoots()
      .then(() => store.ready)
      .then(() => cache.write(store.index.snapshot()));
    return store;
  }

  /** Folders of all experiments: `.sft` of each workspace folder, and where config files send their runs. */
  get roots(): readonly string[] {
    return this.roots_;
  }

  /** Looks into one more output folder, from now on and in later sessions. */
  async addRoot(outputFolder: string): Promise<void> {
    const known = this.context.workspaceState.get<readonly string[]>(rootsKey, []);
    if (known.includes(outputFolder)) return;
    await this.context.workspaceState.update(rootsKey, [...known, outputFolder]);
    await this.findRoots();
  }

  experiments(): ExperimentRow[] {
    return this.index.experiments();
  }

  /** An experiment by its folder. */
  experiment(folder: string): ExperimentRow | undefined {
    return this.index.experiment(folder);
  }

  /** Reads the runs of an experiment that nobody has looked at yet, before all others; undefined: all are known. */
  read(folder: string): Promise<void> | undefined {
    return this.index.read(folder);
  }

  /** A run by its folder. */
  get(folder: string): RunRow | undefined {
    return this.index.get(folder);
  }

  /** Runs being trained now. */
  live(): RunRow[] {
    return this.index.live();
  }

  /** A run with its checked config and paths. @throws LabError */
  open(folder: string): Promise<Run> {
    return openRun(folder);
  }

  /** All events of a run: those of its log in batches, then new ones as they come. */
  follow(folder: string, listener: (batch: EventBatch) => void): vscode.Disposable {
    const follower = new EventFollower(join(folder, 'events.jsonl'), listener, {
      onError: (error) => this.output.error(`${folder}: ${String(error)}`),
    });
    const others = this.followers.get(folder) ?? new Set();
    others.add(follower);
    this.followers.set(folder, others);
    return new vscode.Disposable(() => {
      follower.close();
      others.delete(follower);
      if (others.size === 0) this.followers.delete(folder);
    });
  }

  /** An event that came by a faster way than the log; undefined: something new stands in the log. */
  offer(folder: string, event: RunEvent | undefined): void {
    for (const follower of this.followers.get(folder) ?? []) {
      if (event === undefined) follower.wake();
      else follower.offer(event);
    }
  }

  /** Looks at one run now; its folder may be new. */
  touch(folder: string): void {
    this.index.touch(folder);
  }

  /** Looks at everything again. */
  async refresh(): Promise<void> {
    await this.findRoots();
    await this.index.refresh();
  }

  dispose(): void {
    for (const followers of this.followers.values()) for (const follower of followers) follower.close();
    this.index.close();
    for (const one of this.owned) one.dispose();
    this.cache.writeNow(this.index.snapshot());
  }

  /** Whether a file lies in the folder of a run or of an experiment. */
  private isOfRun(file: string): boolean {
    const experiment = dirname(dirname(file));
    return this.roots_.includes(experiment) || this.roots_.includes(dirname(experiment));
  }

  /** Searching a workspace for config files takes a while. */
  private async findRoots(): Promise<void> {
    const configs = await vscode.workspace.findFiles('**/*.sft.json', undefined, mostConfigs);
    const outputs = await Promise.all(configs.map(outputFolder));
    await this.lookInto(outputs.flat());
  }

  /** @param outputs where config files send their runs */
  private async lookInto(outputs: readonly string[]): Promise<void> {
    const folders = (vscode.workspace.workspaceFolders ?? []).filter(({ uri }) => uri.scheme === 'file');
    const known = this.context.workspaceState.get<readonly string[]>(rootsKey, []);
    const roots = [...folders.map(({ uri }) => join(uri.fsPath, '.sft')), ...known, ...outputs];
    this.roots_ = [...new Set(roots.map(editorPath))];
    await this.index.setRoots(this.roots_);
  }
}

/** Where the runs of a config go; nowhere, where it cannot be read. */
async function outputFolder(config: vscode.Uri): Promise<string[]> {
  try {
    const value: unknown = JSON.parse(await readFile(config.fsPath, 'utf8'));
    if (typeof value !== 'object' || value === null) return [];
    const named = 'output_dir' in value && typeof value.output_dir === 'string' ? value.output_dir : '.sft';
    return [resolve(dirname(config.fsPath), named)];
  } catch {
    return [];
  }
}

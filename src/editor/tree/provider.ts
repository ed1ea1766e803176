/**
 * The sidebar's contents, and what of them has changed. Of thousands of runs the editor is told of those that a person can see, and again
 * of those alone that look otherwise than when they were drawn.
 */

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as vscode from 'vscode';
import { listCheckpoints } from '../../runs/checkpoints.js';
import type { ExperimentRow, IndexChange, RunRow, RunStore } from '../runs/store.js';
import { isMoving, type Listing, listRuns, type Order, openExperiments, shownRuns } from './listing.js';
import { checkpointItem, contextOf, experimentItem, type Node, runItem, tooltipOf } from './nodes.js';

/** Milliseconds between two drawings. */
const redrawMs = 500;
/** Runs that nobody has looked at yet are waited for so long; then their names come alone, and the rest follows. */
const patienceMs = 250;

export class RunTree implements vscode.TreeDataProvider<Node>, vscode.Disposable {
  readonly onDidChangeTreeData: vscode.Event<Node[] | undefined>;
  private readonly changed = new vscode.EventEmitter<Node[] | undefined>();
  /** By folder. The editor knows a node by its object, so that one stands for a folder for good. */
  private readonly nodes = new Map<string, Node>();
  /** What has changed since the last drawing: everything, or these runs. */
  private pending: { all: boolean; readonly runs: Set<string> } = { all: false, runs: new Set() };
  private readonly owned: vscode.Disposable[];
  private listing: Listing = { filter: '', order: 'created' };
  /** Experiments that stand open unless a person closed them. */
  private readonly open = new Set<string>();
  /** Folders of the experiments that the editor shows; undefined: it has not asked yet, and what was never drawn is not drawn again. */
  private listed: Set<string> | undefined;
  /** Folders of the runs that it knows, by their experiment. */
  private readonly listedRuns = new Map<string, readonly string[]>();
  /** What it was told of an experiment or a run. */
  private readonly drawn = new Map<string, RunRow | string>();
  private readonly live = new Set<string>();
  private timer: NodeJS.Timeout | undefined;
  private lastDrawing = Number.NEGATIVE_INFINITY;

  constructor(private readonly runs: RunStore) {
    this.onDidChangeTreeData = this.changed.event;
    this.owned = [this.changed, runs.onDidChange((change) => this.redraw(change))];
  }

  get filter(): string {
    return this.listing.filter;
  }
  set filter(filter: string) {
    this.listing = { ...this.listing, filter };
    this.open.clear();
    this.changed.fire(undefined);
  }

  get order(): Order {
    return this.listing.order;
  }
  set order(order: Order) {
    this.listing = { ...this.listing, order };
    this.changed.fire(undefined);
  }

  async getChildren(node?: Node): Promise<Node[]> {
    switch (node?.kind) {
      case undefined:
        return this.experiments();
      case 'experiment':
        return this.runsOf(node.folder);
      case 'run': {
        const found = await listCheckpoints(join(node.folder, 'checkpoints'));
        return found
          .reverse()
          .map(({ directory, step }) => this.node({ kind: 'checkpoint', folder: directory, run: node.folder, step }));
      }
      case 'checkpoint':
        return [];
    }
  }

  getParent(node: Node): Node | undefined {
    if (node.kind === 'experiment') return undefined;
    if (node.kind === 'checkpoint') return this.node({ kind: 'run', folder: node.run });
    const row = this.runs.get(node.folder);
    return row === undefined ? undefined : this.node({ kind: 'experiment', folder: row.experimentFolder });
  }

  getTreeItem(node: Node): vscode.TreeItem {
    switch (node.kind) {
      case 'experiment': {
        const row = this.runs.experiment(node.folder);
        if (row === undefined) return new vscode.TreeItem(node.folder);
        this.drawn.set(node.folder, contextOf(row));
        const open = this.open.has(node.folder);
        const item = experimentItem(row, shownRuns(row, this.filter).length, open);
        // The editor keeps what a person opened and closed by this: where the default has changed, it counts anew.
        item.id = `${open ? 'open' : 'closed'} ${this.filter} ${node.folder}`;
        return item;
      }
      case 'run': {
        const row = this.runs.get(node.folder);
        if (row === undefined) return new vscode.TreeItem(node.folder);
        this.drawn.set(node.folder, row);
        return runItem(row);
      }
      case 'checkpoint':
        return checkpointItem({ directory: node.folder, step: node.step });
    }
  }

  /** What is shown under the pointer: thousands of rows are drawn without it. */
  resolveTreeItem(item: vscode.TreeItem, { kind, folder }: Node): vscode.TreeItem {
    const row = kind === 'run' ? this.runs.get(folder) : undefined;
    item.tooltip = row === undefined ? folder : tooltipOf(row);
    return item;
  }

  dispose(): void {
    clearTimeout(this.timer);
    for (const one of this.owned) one.dispose();
  }

  private experiments(): Node[] {
    const shown = new Map<ExperimentRow, readonly RunRow[]>();
    for (const row of this.runs.experiments()) {
      const rows = shownRuns(row, this.filter);
      if (this.filter === '' || rows.length > 0) shown.set(row, rows);
    }
    for (const folder of openExperiments(shown)) this.open.add(folder);
    this.listed = new Set(Array.from(shown.keys(), ({ folder }) => folder));
    this.listedRuns.clear();
    return Array.from(this.listed, (folder) => this.node({ kind: 'experiment', folder }));
  }

  private async runsOf(folder: string): Promise<Node[]> {
    const reading = this.runs.read(folder);
    if (reading !== undefined) await Promise.race([reading, sleep(patienceMs, undefined, { ref: false })]);
    const row = this.runs.experiment(folder);
    const listed = row === undefined ? [] : listRuns(row, this.listing).map((run) => run.folder);
    this.listedRuns.set(folder, listed);
    return listed.map((run) => this.node({ kind: 'run', folder: run }));
  }

  private node(node: Node): Node {
    const known = this.nodes.get(node.folder);
    if (known !== undefined) return known;
    this.nodes.set(node.folder, node);
    return node;
  }

  private redraw({ structure, runs }: IndexChange): void {
    if (this.listed === undefined) return;
    this.pending.all ||= structure;
    for (const folder of runs) this.pending.runs.add(folder);
    this.timer ??= setTimeout(() => this.draw(), Math.max(0, this.lastDrawing + redrawMs - performance.now()));
  }

  private draw(): void {
    this.timer = undefined;
    this.lastDrawing = performance.now();
    const { all, runs } = this.pending;
    this.pending = { all: false, runs: new Set() };
    const rows = [...runs].flatMap((folder) => this.runs.get(folder) ?? []);
    const began = this.beginnings(rows);
    const experiments = [...new Set(rows.map(({ experimentFolder }) => experimentFolder))].flatMap(
      (folder) => this.runs.experiment(folder) ?? [],
    );
    if (all || began || experiments.some((row) => this.comesOrGoes(row))) {
      this.changed.fire(undefined);
      return;
    }
    const changed = rows.filter((row) => this.drawn.has(row.folder) && this.drawn.get(row.folder) !== row);
    const outdated = [...experiments.filter((row) => this.isOutdated(row)), ...changed];
    this.changed.fire(outdated.flatMap(({ folder }) => this.nodes.get(folder) ?? []));
  }

  /** Whether one of them has begun to be trained in an experiment that is closed. */
  private beginnings(rows: readonly RunRow[]): boolean {
    let found = false;
    for (const { folder, state, experimentFolder } of rows) {
      if (state !== 'running') this.live.delete(folder);
      else if (!this.live.has(folder)) {
        this.live.add(folder);
        found ||= !this.open.has(experimentFolder);
      }
    }
    return found;
  }

  private comesOrGoes(row: ExperimentRow): boolean {
    return this.filter !== '' && shownRuns(row, this.filter).length > 0 !== this.listed?.has(row.folder);
  }

  /** Whether an experiment, or the order of its runs, is another than was drawn. */
  private isOutdated(row: ExperimentRow): boolean {
    if (this.drawn.get(row.folder) !== contextOf(row)) return true;
    const listed = this.listedRuns.get(row.folder);
    if (listed === undefined || !isMoving(this.listing)) return false;
    const rows = listRuns(row, this.listing);
    return rows.length !== listed.length || rows.some(({ folder }, i) => folder !== listed[i]);
  }
}

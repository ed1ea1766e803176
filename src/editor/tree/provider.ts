/** The sidebar's contents: what of the runs is shown, in which order, and what has changed. */

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as vscode from 'vscode';
import { listCheckpoints } from '../../runs/checkpoints.js';
import type { ExperimentRow, IndexChange, RunRow, RunStore } from '../runs/store.js';
import { checkpointItem, experimentItem, type Node, runItem } from './nodes.js';

export type Order = 'created' | 'name' | 'best' | 'state';

/** Milliseconds between two drawings of the whole list. */
const redrawMs = 500;
/** The first drawing waits that long for what the runs' files say; then names come alone, and the rest follows. */
const patienceMs = 250;

export class RunTree implements vscode.TreeDataProvider<Node>, vscode.Disposable {
  readonly onDidChangeTreeData: vscode.Event<Node[] | undefined>;
  private readonly changed = new vscode.EventEmitter<Node[] | undefined>();
  /** By folder. The editor knows a node by its object, so that one stands for a folder for good. */
  private readonly nodes = new Map<string, Node>();
  /** What has changed since the last drawing: everything, or the rows of these runs. */
  private pending: { all: boolean; readonly runs: Set<string> } = { all: false, runs: new Set() };
  private readonly owned: vscode.Disposable[];
  private filter_ = '';
  private order_: Order = 'created';
  private timer: NodeJS.Timeout | undefined;
  /** What was never drawn is not drawn again. */
  private drawn = false;

  constructor(private readonly runs: RunStore) {
    this.onDidChangeTreeData = this.changed.event;
    this.owned = [this.changed, runs.onDidChange((change) => this.redraw(change))];
  }

  get filter(): string {
    return this.filter_;
  }
  set filter(text: string) {
    this.filter_ = text;
    this.changed.fire(undefined);
  }

  get order(): Order {
    return this.order_;
  }
  set order(order: Order) {
    this.order_ = order;
    this.changed.fire(undefined);
  }

  async getChildren(node?: Node): Promise<Node[]> {
    if (node === undefined) {
      await Promise.race([this.runs.ready, sleep(patienceMs, undefined, { ref: false })]);
      this.drawn = true;
      return this.runs
        .experiments()
        .filter((row) => this.filter_ === '' || this.shown(row).length > 0)
        .map(({ folder }) => this.node({ kind: 'experiment', folder }));
    }
    if (node.kind === 'experiment') {
      const row = this.runs.experiment(node.folder);
      if (row === undefined) return [];
      const rows = [...this.shown(row)].sort(orders[this.order_]);
      return rows.map(({ folder }) => this.node({ kind: 'run', folder }));
    }
    if (node.kind === 'checkpoint') return [];
    const found = await listCheckpoints(join(node.folder, 'checkpoints'));
    return found
      .reverse()
      .map(({ directory, step }) => this.node({ kind: 'checkpoint', folder: directory, run: node.folder, step }));
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
        return row === undefined ? new vscode.TreeItem(node.folder) : experimentItem(row, this.shown(row).length);
      }
      case 'run': {
        const row = this.runs.get(node.folder);
        return row === undefined ? new vscode.TreeItem(node.folder) : runItem(row);
      }
      case 'checkpoint':
        return checkpointItem({ directory: node.folder, step: node.step });
    }
  }

  dispose(): void {
    clearTimeout(this.timer);
    for (const one of this.owned) one.dispose();
  }

  private shown({ name, label, runs }: ExperimentRow): readonly RunRow[] {
    if (this.filter_ === '') return runs;
    const words = this.filter_.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (row: RunRow): boolean => {
      const text = `${name} ${label} ${row.label} ${row.name} ${row.state}`.toLowerCase();
      return words.every((word) => text.includes(word));
    };
    return runs.filter(fits);
  }

  private node(node: Node): Node {
    const known = this.nodes.get(node.folder);
    if (known !== undefined) return known;
    this.nodes.set(node.folder, node);
    return node;
  }

  private redraw({ structure, runs }: IndexChange): void {
    if (!this.drawn) return;
    // Rows may change places too, unless they stand in an order that does not change.
    this.pending.all ||= structure || this.order_ === 'best' || this.order_ === 'state' || this.filter_ !== '';
    for (const folder of runs) this.pending.runs.add(folder);
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      const { all, runs: changed } = this.pending;
      this.pending = { all: false, runs: new Set() };
      this.changed.fire(all ? undefined : [...changed].flatMap((folder) => this.nodes.get(folder) ?? []));
    }, redrawMs);
  }
}

const { compare: compareNames } = new Intl.Collator(undefined, { numeric: true });
const byName = (a: RunRow, b: RunRow): number => compareNames(a.label, b.label);
/** Times in ISO 8601. */
const byTime = (a = '', b = ''): number => (a < b ? -1 : Number(a > b));
const urgency: readonly RunRow['state'][] = ['running', 'failed', 'interrupted', 'stopped', 'queued', 'finished'];

/** The better first: accuracy before loss, since a run with answers says more. */
function quality({ best }: RunRow): number {
  if (best === undefined) return Number.NEGATIVE_INFINITY;
  return best.metric === 'accuracy' ? 1e6 + best.value : -best.value;
}

const orders: Readonly<Record<Order, (a: RunRow, b: RunRow) => number>> = {
  created: (a, b) => byTime(a.created, b.created) || byName(a, b),
  name: byName,
  best: (a, b) => quality(b) - quality(a) || byName(a, b),
  state: (a, b) => urgency.indexOf(a.state) - urgency.indexOf(b.state) || byName(a, b),
};

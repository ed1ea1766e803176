/**
 * An extension beside ours, in the same extension host: tells over HTTP what that process is doing, and has a view of its own with as
 * many rows as there are runs and nothing behind them. What that view takes is VS Code's own part.
 */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { Session } from 'node:inspector/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import * as vscode from 'vscode';

/** Milliseconds between two looks at the clock. */
const resolution = 10;

export async function activate({ extensionPath, subscriptions }: vscode.ExtensionContext): Promise<void> {
  const delay = monitorEventLoopDelay({ resolution });
  delay.enable();
  let since = performance.now();
  let before = process.cpuUsage();
  const session = new Session();
  session.connect();
  const profile = async (): Promise<void> => {
    await session.post('Profiler.enable');
    await session.post('Profiler.setSamplingInterval', { interval: 500 });
    await session.post('Profiler.start');
  };
  const answers: Readonly<Record<string, () => Promise<unknown>>> = {
    // Since the last time that this was asked.
    usage: async () => {
      const { user, system } = process.cpuUsage(before);
      const seconds = (performance.now() - since) / 1000;
      const [p99, most] = [delay.percentile(99), delay.max].map((ns) => ns / 1e6 - resolution);
      delay.reset();
      since = performance.now();
      before = process.cpuUsage();
      return { seconds, cpuMs: (user + system) / 1000, p99, most };
    },
    profile,
    profiled: async () => (await session.post('Profiler.stop')).profile,
  };
  // Asked for before the window was loaded.
  if (existsSync(`${extensionPath}/profile`)) await profile();
  const server = createServer((request, response) => {
    const answer = answers[request.url?.slice(1) ?? ''];
    if (answer === undefined) response.writeHead(404).end();
    else void answer().then((value) => response.end(JSON.stringify(value ?? null)));
  });
  server.listen(0, '127.0.0.1', () => writeFileSync(`${extensionPath}/port`, JSON.stringify(server.address())));
  subscriptions.push(new vscode.Disposable(() => server.close()));
  const { experiments, runsEach } = JSON.parse(readFileSync(`${extensionPath}/size.json`, 'utf8'));
  subscriptions.push(vscode.window.registerTreeDataProvider('sft-lab-probe.rows', rows(experiments, runsEach)));
}

interface Row {
  readonly name: string;
  readonly parent?: string;
}

function rows(experiments: number, runsEach: number): vscode.TreeDataProvider<Row> {
  const list = (count: number, kind: string, parent?: string): Row[] =>
    Array.from({ length: count }, (_, i) => ({ name: `${kind} ${i}`, ...(parent === undefined ? {} : { parent }) }));
  return {
    getChildren: (row) => (row === undefined ? list(experiments, 'peer group') : list(runsEach, 'peer row', row.name)),
    getTreeItem: ({ name, parent }) => {
      const { Expanded, Collapsed } = vscode.TreeItemCollapsibleState;
      const item = new vscode.TreeItem(name, parent === undefined ? Expanded : Collapsed);
      item.id = `${parent}/${name}`;
      item.description = 'loss 0.0050';
      item.iconPath = new vscode.ThemeIcon('pass');
      return item;
    },
  };
}

/** The extension: makes what its surfaces share, and puts them together. A surface is a folder and a line here. */

import { join } from 'node:path';
import * as vscode from 'vscode';
import { register as config } from './editor/config/index.js';
import { register as form } from './editor/form/index.js';
import { register as notifications } from './editor/notifications/index.js';
import { register as panel } from './editor/panel/index.js';
import { register as preview } from './editor/preview/index.js';
import { RunStore } from './editor/runs/store.js';
import { register as samples } from './editor/samples/index.js';
import type { Register, Services } from './editor/services.js';
import { register as status } from './editor/status/index.js';
import { register as terminal } from './editor/terminal/index.js';
import { register as tree } from './editor/tree/index.js';
import { Launcher } from './launch/launcher.js';

const surfaces: readonly Register[] = [terminal, tree, status, notifications, form, config, preview, panel, samples];

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const output = vscode.window.createOutputChannel('SFT Lab', { log: true });
  const runs = await RunStore.create(context, output);
  const launcher = new Launcher({ node: process.execPath, program: join(context.extensionPath, 'dist', 'cli.js') });
  const services: Services = { runs, launcher, output };
  const forget = launcher.listen({
    // Runs may go to a folder that nobody has looked into yet.
    onRun: (folder) => void runs.addRoot(join(folder, '..', '..')).then(() => runs.touch(folder)),
    onEvent: (folder, event) => runs.offer(folder, event),
    onExit: ({ runs: folders }) => {
      for (const folder of folders) runs.touch(folder);
    },
  });
  context.subscriptions.push(output, runs, new vscode.Disposable(forget));
  for (const register of surfaces) context.subscriptions.push(register(context, services));
}

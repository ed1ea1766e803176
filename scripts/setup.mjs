/**
 * Makes a fresh checkout ready, and does nothing where it is: Debian packages, npm packages, the engine, the bundles.
 *
 * Plain Node without dependencies, since it runs before there are any. Each part leaves a stamp with a hash of what it was
 * made from; a part whose stamp still fits is skipped. `node scripts/setup.mjs bundles` does the bundles alone.
 */

import { spawnSync } from 'node:child_process';
import {
  accessSync,
  appendFileSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { building, configuring, withAddon } from './cmake.mjs';
import { takeLock } from './lock.mjs';
import { hashFiles, hashOf, stamp } from './made.mjs';
import { npm } from './programs.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const build = join(root, 'build');
const modules = join(root, 'node_modules');
const log = join(build, 'setup.log');

/** What the engine is built and tested with, by Debian's names. */
const debianPackages = ['g++', 'make', 'cmake', 'libdnnl-dev', 'nlohmann-json3-dev', 'libgtest-dev'];

/** What installs the same elsewhere, where people do it themselves. */
const elsewhere = {
  darwin: ':\n\n  brew install cmake libomp onednn nlohmann-json googletest',
  win32: [
    ', and a shell of MSYS2 that finds them:\n\n  pacman -S --needed',
    ...['clang', 'cmake', 'ninja', 'openmp', 'onednn', 'nlohmann-json', 'gtest'].map(
      (name) => `mingw-w64-clang-${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-${name}`,
    ),
  ].join(' '),
};

class SetupError extends Error {}

let worked = false;

/** Runs a program; its output goes to the log, whose end is shown when it fails. */
function run(what, command, args, { env = {}, advice = '' } = {}) {
  if (!worked) writeFileSync(log, '');
  worked = true;
  appendFileSync(log, `\n$ ${command} ${args.join(' ')}\n`);
  const start = statSync(log).size;
  const file = openSync(log, 'a');
  const { status, signal, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', file, file],
    env: { ...process.env, ...env },
  });
  closeSync(file);
  if (status === 0) return;
  const why = error?.message ?? (signal === null ? `exit code ${status}` : `ended by ${signal}`);
  const end = readFileSync(log).subarray(start).toString('utf8').trimEnd().split('\n').slice(-30).join('\n');
  throw new SetupError(
    `${what} failed (${why}).\n\n${end}\n\nThe whole log is in build/setup.log. ${advice}`.trimEnd(),
  );
}

function say(text) {
  console.log(`setup: ${text}`);
}

/** The installed ones of the packages above with their versions; undefined where this is no Debian. */
function installedDebianPackages() {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders
  const format = '${db:Status-Status} ${binary:Package} ${Version}\n';
  const query = spawnSync('dpkg-query', ['-W', '-f', format, ...debianPackages], { encoding: 'utf8' });
  if (query.error !== undefined) return undefined;
  const lines = query.stdout.split('\n').filter((line) => line.startsWith('installed '));
  return new Map(
    lines.map((line) => {
      const [, name, version] = line.split(' ');
      return [name.replace(/:.*/, ''), version];
    }),
  );
}

/** Those that are missing. Empty where this is no Debian: what is missing there, the build says. */
function missingDebianPackages() {
  const installed = installedDebianPackages();
  return installed === undefined ? [] : debianPackages.filter((name) => !installed.has(name));
}

/** What a person types who may not install packages as they are. */
function installCommand(missing) {
  const commands = ['apt-get update', `apt-get install -y --no-install-recommends ${missing.join(' ')}`];
  const places = (process.env.PATH ?? '').split(delimiter);
  if (places.some((place) => existsSync(join(place, 'sudo'))))
    return commands.map((command) => `sudo ${command}`).join(' && ');
  return `su -c "${commands.join(' && ')}"`;
}

function installDebianPackages() {
  const missing = missingDebianPackages();
  if (missing.length === 0) return;
  say(`Debian packages: ${missing.join(', ')}`);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  try {
    run('apt-get update', 'apt-get', ['update'], { env });
  } catch (error) {
    // One mirror of several may be out of reach; whether the packages are, the next step tells.
    if (!(error instanceof SetupError)) throw error;
  }
  run('apt-get install', 'apt-get', ['install', '-y', '--no-install-recommends', ...missing], {
    env,
    advice: 'Is a Debian mirror reachable? Then run the same command again.',
  });
}

function installNodePackages() {
  // In node_modules, so that it goes when they go.
  const made = stamp(join(modules, '.sft-lab-setup'));
  const hash = hashFiles('package-lock.json', '.npmrc') + process.version;
  if (made.holds(hash)) return;
  say('npm packages');
  made.drop();
  run('npm ci', ...npm('ci', '--no-audit', '--no-fund'), {
    advice: 'Is the npm registry reachable? Then run the same command again.',
  });
  made.set(hash);
}

/** What a build of the engine is good for: the folder, the compiler and its libraries, this machine's instructions. */
function toolchain() {
  const installed = installedDebianPackages();
  const versions =
    installed === undefined
      ? [spawnSync('c++', ['--version'], { encoding: 'utf8' }).stdout ?? '']
      : [...installed].flat().sort();
  const flags = existsSync('/proc/cpuinfo')
    ? (/^(flags|Features)\s*:.*$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[0] ?? '')
    : '';
  const nvcc = ['nvcc', '/usr/local/cuda/bin/nvcc']
    .map((name) => spawnSync(name, ['--version'], { encoding: 'utf8' }).stdout ?? '')
    .join('');
  return hashOf(root, process.arch, flags, nvcc, process.env.CXX ?? '', process.env.CXXFLAGS ?? '', ...versions);
}

function buildEngine() {
  const tools = toolchain();
  const headers = ['node-api-headers', 'node-addon-api'];
  const hash = tools + hashFiles('native', ...headers.map((name) => join('node_modules', name, 'package.json')));
  const made = stamp(join(build, 'native.stamp'));
  if (existsSync(join(build, 'native', 'sft-lab-engine.node')) && made.holds(hash)) return;
  say('the engine (a minute or two, once)');
  made.drop();
  const madeWith = stamp(join(build, 'toolchain.stamp'));
  if (existsSync(join(build, 'toolchain.stamp')) && !madeWith.holds(tools)) {
    // CMake's cache is of another compiler, machine or folder.
    rmSync(join(build, 'native'), { recursive: true, force: true });
  }
  madeWith.set(tools);
  const advice = `A C++20 compiler, make, CMake 3.22, oneDNN, nlohmann-json and GoogleTest are needed${elsewhere[process.platform] ?? '.'}`;
  run('configuring the engine', ...configuring('build/native', withAddon), { advice });
  run('building the engine', ...building('build/native'));
  made.set(hash);
}

function buildBundles() {
  const hash = hashFiles('src', 'webview', 'scripts/build.mjs', 'package.json', 'package-lock.json');
  const made = stamp(join(build, 'bundles.stamp'));
  if (existsSync(join(root, 'dist', 'cli.js')) && made.holds(hash)) return;
  made.drop();
  run('bundling', process.execPath, ['scripts/build.mjs']);
  made.set(hash);
}

if (Number(process.versions.node.split('.')[0]) < 20) {
  console.error(`setup: Node 20 or newer is needed; this is ${process.version}`);
  process.exit(1);
}
const all = process.argv[2] !== 'bundles';
if (all && process.getuid?.() !== 0) {
  // Before anything is made.
  const missing = missingDebianPackages();
  if (missing.length > 0) {
    const command = installCommand(missing);
    console.error(`setup: Debian packages are missing. Install them, then run this again:\n\n  ${command}\n`);
    process.exit(1);
  }
}
try {
  mkdirSync(build, { recursive: true });
  accessSync(build, constants.W_OK);
} catch (error) {
  console.error(`setup: ${build} cannot be written (${error.code}). Is the project another user's?`);
  process.exit(1);
}
const started = Date.now();
const release = await takeLock(join(build, 'setup.lock'), (holder) => say(`waiting for another set-up (${holder})`));
try {
  if (all) {
    installDebianPackages();
    installNodePackages();
    buildEngine();
  }
  buildBundles();
  const seconds = Math.round((Date.now() - started) / 1000);
  if (worked && seconds > 2) say(`ready after ${seconds} s`);
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(`setup: ${error.message}`);
  process.exitCode = 1;
} finally {
  release();
}

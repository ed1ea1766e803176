/** Starting, stopping and resuming runs on this machine. The trainer owns its run; the launcher starts it and signals to it. */

import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import type { RunConfigInput } from '../core/config.js';
import { checkConfig, resolveConfig } from '../core/config-parse.js';
import { codeOf, LabError } from '../core/errors.js';
import type { RunEvent } from '../core/events.js';
import { isWithinReach, type LockContent, lockHolder } from '../runs/lock.js';
import { fileName } from '../runs/run-folder.js';
import { requestStop } from '../runs/system.js';
import { Session, type SessionKind } from './session.js';

/** A config that stands in no file; relative paths in it are meant from `folder`. */
export interface UnsavedConfig {
  readonly config: RunConfigInput;
  readonly folder: string;
}

export interface StartOptions {
  /** Train every combination of the config's `compare`. */
  readonly compare?: boolean;
}

export interface LauncherOptions {
  /** The Node that runs the trainer: the editor's own program does. */
  readonly node: string;
  /** `dist/cli.js`. */
  readonly program: string;
}

/** What was started: a process in a terminal, and the run it makes. */
export type Launched = Session;

export interface LauncherListener {
  onSession?(session: Launched): void;
  onRun?(folder: string, session: Launched): void;
  onEvent?(folder: string, event: RunEvent | undefined): void;
  onExit?(session: Launched): void;
  /** Somebody asked for the end of a run, or of a comparison by its folder, from here. */
  onStopAsked?(folder: string): void;
}

export class Launcher {
  private readonly sessions_ = new Set<Launched>();
  private readonly listeners = new Set<LauncherListener>();
  /** Runs that a session was started to continue: between that and its lock, a second one must not begin. */
  private readonly resuming = new Map<string, Launched>();

  constructor(private readonly options: LauncherOptions) {}

  /** Those started from here that have not ended. */
  get sessions(): readonly Launched[] {
    return [...this.sessions_];
  }

  listen(listener: LauncherListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** The session that trains a run, where it was started from here. */
  sessionOf(folder: string): Launched | undefined {
    return this.sessions.find(({ currentRun }) => currentRun === folder);
  }

  /**
   * Trains a config: that of a file, or one that stands in no file.
   *
   * @throws LabError when the config is no config; what is wrong with the data, the trainer says (`Launched.run`)
   */
  async start(config: string | UnsavedConfig, { compare = false }: StartOptions = {}): Promise<Launched> {
    const file = typeof config === 'string' ? resolve(config) : await this.save(config);
    const cwd = typeof config === 'string' ? dirname(file) : config.folder;
    const kind = compare ? 'compare' : 'train';
    return this.launch(kind, [kind, file], cwd);
  }

  /** Continues a run, or several one after the other; among them experiments too. @throws LabError when one is being trained */
  async resume(...folders: readonly [string, ...string[]]): Promise<Launched> {
    return this.continue('resume', folders, workingFolder(folders[0]));
  }

  /** Continues all unfinished runs of experiments, one after the other. @throws LabError when that is being done */
  async resumeExperiments(...folders: readonly [string, ...string[]]): Promise<Launched> {
    return this.continue('compare', folders, workingFolder(join(folders[0], 'run')));
  }

  /** Ctrl+C in the terminal of a session. */
  interrupt(session: Launched): void {
    const { currentRun } = session;
    if (currentRun !== undefined) {
      // A comparison ends with its run.
      const folders = session.kind === 'compare' ? [currentRun, dirname(currentRun)] : [currentRun];
      for (const folder of folders) this.tell((listener) => listener.onStopAsked?.(folder));
    }
    session.interrupt();
  }

  /**
   * Asks the process that trains a run (or works through a comparison, given its folder) to finish its step, save and end.
   *
   * @throws LabError where nobody trains it, or somebody on another machine
   */
  async stop(folder: string, { now = false }: { readonly now?: boolean } = {}): Promise<void> {
    const holder = lockHolder(folder);
    if (holder === undefined) throw new LabError('nobody is training this run', { place: { file: folder } });
    this.tell((listener) => listener.onStopAsked?.(folder));
    await askToStop(holder, folder);
    // The second request leaves at once.
    if (now) await askToStop(holder, folder);
  }

  private continue(kind: SessionKind, folders: readonly string[], cwd: string): Launched {
    for (const folder of folders) {
      const holder = lockHolder(folder);
      const other = this.resuming.get(folder);
      if (holder === undefined && other === undefined) continue;
      const pid = holder?.pid ?? other?.pid;
      const where = holder === undefined || holder.host === hostname() ? '' : ` on ${holder.host}`;
      throw new LabError(`process ${pid}${where} is training this run already`, {
        place: { file: folder },
        advice: 'It shows in this window too: open it, or its terminal. Stop it there before it is started anew.',
      });
    }
    const session = this.launch(kind, ['resume', ...folders], cwd);
    for (const folder of folders) this.resuming.set(folder, session);
    session.listen({
      onExit: () => {
        for (const folder of folders) this.resuming.delete(folder);
      },
    });
    return session;
  }

  private async save({ config, folder }: UnsavedConfig): Promise<string> {
    const { compare, ...checked } = checkConfig(config);
    const name = config.experiment ?? 'experiment';
    const stem = fileName(name);
    const resolved = resolveConfig(checked, folder, name);
    const { eval_dataset: sets, ...rest } = resolved;
    const model = resolve(folder, config.model_name_or_path);
    const directory = join(resolved.output_dir, '.configs');
    const text = {
      ...rest,
      ...(Object.keys(sets).length === 0 ? {} : { eval_dataset: sets }),
      // A folder, or a name in the Hugging Face cache.
      model_name_or_path: existsSync(model) ? model : config.model_name_or_path,
      ...(compare === undefined ? {} : { compare }),
    };
    await mkdir(directory, { recursive: true });
    for (let n = 1; ; n++) {
      const file = join(directory, `${stem}${n === 1 ? '' : `-${n}`}.sft.json`);
      try {
        await writeFile(file, `${JSON.stringify(text, null, 2)}\n`, { flag: 'wx' });
        return file;
      } catch (error) {
        if (codeOf(error) !== 'EEXIST') throw error;
      }
    }
  }

  private launch(kind: SessionKind, args: readonly string[], cwd: string): Launched {
    const { node, program } = this.options;
    const session = new Session({ node, args: [program, ...args], cwd, env: process.env, kind });
    this.sessions_.add(session);
    session.listen({
      onRun: (folder) => this.tell((listener) => listener.onRun?.(folder, session)),
      onEvent: (folder, event) => this.tell((listener) => listener.onEvent?.(folder, event)),
      onExit: () => {
        this.sessions_.delete(session);
        this.tell((listener) => listener.onExit?.(session));
      },
    });
    this.tell((listener) => listener.onSession?.(session));
    return session;
  }

  private tell(what: (listener: LauncherListener) => void): void {
    for (const listener of this.listeners) what(listener);
  }
}

async function askToStop(holder: LockContent, folder: string): Promise<void> {
  if (!isWithinReach(holder)) {
    throw new LabError(`${holder.host} is training this run; it can be stopped only there`, {
      place: { file: folder },
    });
  }
  try {
    await requestStop(holder.pid);
  } catch (error) {
    throw new LabError(
      codeOf(error) === 'EPERM' ? `process ${holder.pid} belongs to somebody else` : 'its process has just ended',
      { place: { file: folder }, cause: error },
    );
  }
}

/** Beside the folder of all experiments, so that the paths shown are short. */
function workingFolder(runFolder: string): string {
  const output = dirname(dirname(runFolder));
  return basename(output).startsWith('.') ? dirname(output) : output;
}

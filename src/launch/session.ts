/** A trainer on this machine. The session is a viewer with a keyboard: when it goes, the trainer goes on. */

import { LabError } from '../core/errors.js';
import type { RunEvent } from '../core/events.js';
import { messagesVariable } from '../core/messages-variable.js';
import { editorPath } from '../core/paths.js';
import { MessageFilter } from '../core/terminal-messages.js';
import { requestStop } from '../runs/system.js';
import { startTrainer, type TrainerProcess } from './trainer-process.js';

export interface Exit {
  readonly code: number;
  /** The last lines of what the terminal showed, without escape sequences. */
  readonly lastLines: string;
}

export interface SessionListener {
  /** Text for a terminal. */
  onData?(text: string): void;
  /** The trainer began (or, in a comparison, went on to) a run. */
  onRun?(folder: string): void;
  /** An event stands in the run's log; without `event` where it was too long to be sent. */
  onEvent?(folder: string, event: RunEvent | undefined): void;
  onExit?(exit: Exit): void;
}

/** `compare`: an experiment is worked through, from its beginning or from where it stood. */
export type SessionKind = 'train' | 'compare' | 'resume';

export interface SessionOptions {
  readonly node: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What it was started for. */
  readonly kind: SessionKind;
  readonly columns?: number;
  readonly rows?: number;
}

/** Characters of output kept for terminals that are opened later. */
const keptOutput = 1 << 20;

export class Session {
  readonly pid: number;
  readonly kind: SessionKind;
  /** Folder of the first run, as soon as the trainer has made it; fails when it ended before. */
  readonly run: Promise<string>;
  readonly exited: Promise<Exit>;
  private readonly process: TrainerProcess;
  private readonly listeners = new Set<SessionListener>();
  private readonly folders = new Set<string>();
  private kept = '';
  private current: string | undefined;
  private exit_: Exit | undefined;

  constructor(options: SessionOptions) {
    this.process = startTrainer({
      file: options.node,
      args: options.args,
      cwd: options.cwd,
      env: trainerEnvironment(options.env),
      columns: options.columns ?? 120,
      rows: options.rows ?? 30,
    });
    this.pid = this.process.pid;
    this.kind = options.kind;
    const filter = new MessageFilter();
    this.process.onData((piece) => this.receive(filter, piece));
    this.exited = new Promise((resolve) => {
      this.process.onExit((code) => {
        const exit = { code, lastLines: plain(this.kept).trimEnd().split('\n').slice(-12).join('\n') };
        this.exit_ = exit;
        for (const listener of this.listeners) listener.onExit?.(exit);
        resolve(exit);
      });
    });
    this.run = new Promise((resolve, reject) => {
      this.listen({
        onRun: resolve,
        onExit: ({ lastLines }) => reject(new LabError(lastLines || 'the trainer ended before the run began')),
      });
    });
    // Whoever wants to know awaits it; for others it is no unhandled rejection.
    this.run.catch(() => undefined);
  }

  /** Folders of the runs that this process trained, in order. */
  get runs(): readonly string[] {
    return [...this.folders];
  }

  /** The run being trained now, or last. */
  get currentRun(): string | undefined {
    return this.current;
  }

  get exit(): Exit | undefined {
    return this.exit_;
  }

  /** What was shown so far, or its last part. */
  get output(): string {
    return this.kept.slice(-keptOutput);
  }

  listen(listener: SessionListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  resize(columns: number, rows: number): void {
    if (this.exit_ !== undefined || columns < 2 || rows < 1) return;
    try {
      this.process.resize(columns, rows);
    } catch {
      // It ended in this moment.
    }
  }

  /** Ctrl+C: the first asks to finish the step and save, the second leaves at once. */
  interrupt(): void {
    if (this.exit_ !== undefined) return;
    // Fails where it ended in this moment.
    requestStop(this.pid).catch(() => undefined);
  }

  private receive(filter: MessageFilter, piece: string): void {
    const { text, messages } = filter.push(piece);
    if (text !== '') {
      // Cut seldom: each cut copies all that is kept.
      this.kept += text;
      if (this.kept.length > 2 * keptOutput) this.kept = this.kept.slice(-keptOutput);
      for (const listener of this.listeners) listener.onData?.(text);
    }
    for (const message of messages) {
      if (message.type === 'run') {
        const folder = editorPath(message.folder);
        this.current = folder;
        this.folders.add(folder);
        for (const listener of this.listeners) listener.onRun?.(folder);
      } else if (this.current !== undefined) {
        const event = message.type === 'event' ? message.event : undefined;
        for (const listener of this.listeners) listener.onEvent?.(this.current, event);
      }
    }
  }
}

/** The caller's environment without what belongs to the editor itself. */
function trainerEnvironment(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const kept = Object.entries(env).filter(
    (pair): pair is [string, string] =>
      pair[1] !== undefined && !/^(VSCODE_|ELECTRON_|NODE_OPTIONS$|NO_COLOR$|FORCE_COLOR$)/.test(pair[0]),
  );
  return {
    LANG: 'C.UTF-8',
    ...Object.fromEntries(kept),
    TERM: 'xterm-256color',
    // In VS Code `node` is the editor's own program, which is Node when told so.
    ELECTRON_RUN_AS_NODE: '1',
    [messagesVariable]: '1',
  };
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what is looked for
const escapes = /\u001b(\[[0-9;?]*[A-Za-z]|\][^\u0007]*\u0007)|\r/g;

function plain(text: string): string {
  return text.slice(-8192).replace(escapes, '');
}

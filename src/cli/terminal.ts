/**
 * Where a command's words go. On a terminal the last lines can be live: redrawn in place. Elsewhere only whole lines are
 * written. All permanent lines also go to a log file, without colours. A terminal that went away is no reason to stop.
 */

import { closeSync, openSync, writeSync } from 'node:fs';
import type { WriteStream } from 'node:tty';
import type { RunEvent } from '../core/events.js';
import { messagesVariable } from '../core/messages-variable.js';
import { formatMessage } from '../core/terminal-messages.js';
import { EventStream } from './event-stream.js';
import { type EditorStream, openEditorStream } from './pty-stream.js';

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan';

const codes: Readonly<Record<Style, number>> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 };

/** A piece of a line with its style; plain text has none. */
export type Piece = string | readonly [Style, string];

export interface TerminalOptions {
  readonly stream: NodeJS.WriteStream;
  readonly quiet: boolean;
  /** For warnings and errors, which are never quiet. */
  readonly errors: NodeJS.WriteStream;
  /** The screen of an editor, a terminal that takes messages too. */
  readonly pty?: EditorStream | undefined;
}

/** The screen of the editor that started this program; undefined where people or pipes did. */
export function editorPty(): EditorStream | undefined {
  const screen = process.env[messagesVariable];
  return screen === undefined ? undefined : openEditorStream(screen);
}

export class Terminal {
  /** Whether lines can be redrawn. */
  readonly interactive: boolean;
  private readonly colours: boolean;
  private readonly errorColours: boolean;
  private readonly unicode: boolean;
  /** Characters of each live line. */
  private liveLines: readonly number[] = [];
  private gone = false;
  private log: number | undefined;
  private readonly events: EventStream | undefined;

  constructor(private readonly options: TerminalOptions) {
    const { pty } = options;
    this.events = pty === undefined ? undefined : new EventStream((text) => pty.write(text));
    const dumb = process.env.TERM === 'dumb';
    const [shown, errorsShown] = [options.stream, options.errors].map(
      ({ isTTY }) => pty !== undefined || isTTY === true,
    );
    this.interactive = shown === true && !dumb && !options.quiet;
    const wanted = (process.env.NO_COLOR ?? '') === '' && !dumb;
    this.colours = wanted && shown === true;
    this.errorColours = wanted && errorsShown === true;
    this.unicode = /utf-?8/i.test(process.env.LC_ALL || process.env.LC_CTYPE || process.env.LANG || '');
    // A closed pty or pipe: the run goes on, its files tell the rest.
    for (const stream of [options.stream, options.errors]) stream.on('error', () => this.leave());
  }

  get width(): number {
    const stream: NodeJS.WriteStream & Partial<Pick<WriteStream, 'getWindowSize'>> = this.options.stream;
    // Asked anew each time: a process without a controlling terminal hears of no resize.
    return Math.max(20, stream.getWindowSize?.()[0] ?? stream.columns ?? (this.options.pty === undefined ? 100 : 80));
  }

  /** Copies permanent lines to a file from now on. */
  logTo(path: string): void {
    this.closeLog();
    try {
      this.log = openSync(path, 'a');
    } catch {
      // The event log will say what is wrong with the folder.
      this.log = undefined;
    }
  }

  closeLog(): void {
    this.events?.flush();
    if (this.log !== undefined) closeSync(this.log);
    this.log = undefined;
  }

  line(...pieces: readonly Piece[]): void {
    this.toLog(pieces);
    if (this.options.quiet) return;
    this.write(this.options.stream, `${this.clearLive()}${render(pieces, this.colours)}\n`);
  }

  /** A warning or an error: shown even when quiet, on the error stream. */
  alert(...pieces: readonly Piece[]): void {
    this.toLog(pieces);
    this.write(this.options.stream, this.clearLive());
    this.write(this.options.errors, `${render(pieces, this.errorColours)}\n`);
  }

  /** Tells the editor, where there is one, which run the events are of that follow. */
  announceRun(folder: string): void {
    this.events?.flush();
    this.options.pty?.write(formatMessage({ type: 'run', folder, pid: process.pid }));
  }

  /** Tells the editor, where there is one, of an event that stands in the log. */
  event(event: RunEvent): void {
    this.events?.tell(event);
  }

  /** Replaces the live lines; nothing where lines cannot be redrawn. */
  live(lines: readonly (readonly Piece[])[]): void {
    if (!this.interactive || this.gone || this.options.pty?.behind === true) return;
    const width = this.width;
    const shown = lines.map((pieces) => cut(pieces, width - 1));
    const text = shown.map((pieces) => `${render(pieces, this.colours)}\n`).join('');
    this.write(this.options.stream, `${this.clearLive()}${text}`);
    this.liveLines = shown.map((pieces) => render(pieces, false).length);
  }

  /** A bar `width` characters wide. */
  bar(share: number, width: number): string {
    const [full, empty] = this.unicode ? ['█', '░'] : ['#', '.'];
    const filled = Math.round(Math.min(1, Math.max(0, share)) * width);
    return `${full?.repeat(filled)}${empty?.repeat(width - filled)}`;
  }

  private clearLive(): string {
    if (this.liveLines.length === 0) return '';
    // In a terminal that was made narrower since, a line has become several.
    const { width } = this;
    const rows = this.liveLines.reduce((sum, length) => sum + Math.max(1, Math.ceil(length / width)), 0);
    this.liveLines = [];
    return `\u001b[${rows}A\r\u001b[J`;
  }

  private toLog(pieces: readonly Piece[]): void {
    if (this.log === undefined) return;
    try {
      writeSync(this.log, `${render(pieces, false)}\n`);
    } catch {
      // A full disk: the event log reports it.
    }
  }

  private write(stream: NodeJS.WriteStream, text: string): void {
    if (this.gone || text === '') return;
    if (this.options.pty !== undefined) {
      this.options.pty.write(text);
      return;
    }
    try {
      stream.write(text);
    } catch {
      this.leave();
    }
  }

  private leave(): void {
    this.gone = true;
  }
}

function render(pieces: readonly Piece[], colours: boolean): string {
  return pieces
    .map((piece) => {
      if (typeof piece === 'string') return piece;
      const [style, text] = piece;
      return colours ? `\u001b[${codes[style]}m${text}\u001b[0m` : text;
    })
    .join('');
}

function cut(pieces: readonly Piece[], width: number): Piece[] {
  let left = width;
  return pieces.map((piece) => {
    const text = typeof piece === 'string' ? piece : piece[1];
    const kept = text.slice(0, Math.max(0, left));
    left -= kept.length;
    return typeof piece === 'string' ? kept : ([piece[0], kept] as const);
  });
}

// C0 and C1 controls, soft hyphen and zero-width characters, bidirectional controls, line separators, byte order mark.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
const unprintable = /[\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** Text of a model or a data set, made safe to print: control characters are written out, `keep` names those that stay. */
export function printable(text: string, keep: '' | '\n\t' = ''): string {
  return text.replace(unprintable, (character) => {
    if (keep.includes(character)) return character;
    if (character === '\n') return '\\n';
    if (character === '\t') return '\\t';
    if (character === '\r') return '\\r';
    const code = character.charCodeAt(0).toString(16);
    return code.length <= 2 ? `\\x${code.padStart(2, '0')}` : `\\u${code.padStart(4, '0')}`;
  });
}

/** Shortens a text to one line of at most `width` characters. */
export function oneLine(text: string, width: number): string {
  const plain = printable(text.trim());
  return plain.length <= width ? plain : `${plain.slice(0, Math.max(0, width - 1))}…`;
}

/** The last `width` characters of a text, on one line. */
export function lineEnd(text: string, width: number): string {
  const plain = printable(text.trim());
  return plain.length <= width ? plain : `…${plain.slice(plain.length - Math.max(0, width - 1))}`;
}

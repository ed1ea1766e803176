import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { WriteStream } from 'node:tty';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { experimentName } from '../../../src/cli/config-file.js';
import { oneLine, printable, Terminal } from '../../../src/cli/terminal.js';
import { quoted } from '../../../src/core/shell-words.js';
import { formatBytes, formatCount, formatDuration } from '../../../src/core/units.js';
import { onWindows } from '../../../src/runs/system.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sft-terminal-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
  vi.unstubAllEnvs();
});

/** A stream that remembers; `tty` makes it one that redraws, 60 columns wide until it is resized. */
function screen(tty: boolean): { stream: NodeJS.WriteStream; text: () => string; resize: (columns: number) => void } {
  const chunks: string[] = [];
  let width = 60;
  const stream = new PassThrough();
  stream.on('data', (chunk) => chunks.push(String(chunk)));
  const facts = tty ? { isTTY: true, columns: 60 } : { isTTY: false };
  return {
    stream: Object.assign(Object.create(WriteStream.prototype), stream, facts, {
      write: (text: string) => chunks.push(text) > 0,
      on: () => undefined,
      getWindowSize: () => [width, 20],
    }),
    text: () => chunks.join(''),
    resize: (columns) => {
      width = columns;
    },
  };
}

function make(tty: boolean, quiet = false) {
  const out = screen(tty);
  const errors = screen(false);
  return { terminal: new Terminal({ stream: out.stream, errors: errors.stream, quiet }), out, errors };
}

describe('Terminal', () => {
  it('writes plain lines where nothing can be redrawn', () => {
    const { terminal, out } = make(false);
    terminal.live([['a bar']]);
    terminal.line(['red', 'one'], ' two');
    expect(out.text()).toBe('one two\n');
  });

  it('redraws live lines in place and keeps the others', () => {
    vi.stubEnv('NO_COLOR', '1');
    vi.stubEnv('TERM', 'xterm');
    const { terminal, out } = make(true);
    terminal.live([['first'], ['second']]);
    terminal.line('permanent');
    expect(out.text()).toBe('first\nsecond\n\u001b[2A\r\u001b[Jpermanent\n');
  });

  it('cuts live lines to the width', () => {
    vi.stubEnv('NO_COLOR', '1');
    vi.stubEnv('TERM', 'xterm');
    const { terminal, out } = make(true);
    terminal.live([['x'.repeat(200)]]);
    expect(out.text()).toBe(`${'x'.repeat(59)}\n`);
  });

  it('takes live lines away as a whole where the terminal was made narrower since, and they have become several', () => {
    vi.stubEnv('NO_COLOR', '1');
    vi.stubEnv('TERM', 'xterm');
    const { terminal, out } = make(true);
    terminal.live([['short'], ['x'.repeat(50)]]);
    out.resize(20);
    terminal.live([['y'.repeat(50)]]);
    out.resize(60);
    terminal.live([]);
    expect(out.text()).toBe(`short\n${'x'.repeat(50)}\n\u001b[4A\r\u001b[J${'y'.repeat(19)}\n\u001b[1A\r\u001b[J`);
  });

  it('colours on a terminal, unless NO_COLOR or a dumb terminal', () => {
    vi.stubEnv('NO_COLOR', '');
    vi.stubEnv('TERM', 'xterm');
    const coloured = make(true);
    coloured.terminal.line(['red', 'a']);
    expect(coloured.out.text()).toBe('\u001b[31ma\u001b[0m\n');
    vi.stubEnv('TERM', 'dumb');
    const dumb = make(true);
    dumb.terminal.line(['red', 'a']);
    dumb.terminal.live([['bar']]);
    expect(dumb.out.text()).toBe('a\n');
  });

  it('is quiet but for warnings, and logs what it would have shown', () => {
    const { terminal, out, errors } = make(true, true);
    terminal.logTo(join(folder, 'console.log'));
    terminal.line(['green', 'fine']);
    terminal.live([['bar']]);
    terminal.alert(['yellow', 'careful']);
    terminal.closeLog();
    expect(out.text()).toBe('');
    expect(errors.text()).toBe('careful\n');
    expect(readFileSync(join(folder, 'console.log'), 'utf8')).toBe('fine\ncareful\n');
  });

  it('does not mind a log that cannot be written', () => {
    const { terminal, out } = make(false);
    terminal.logTo(join(folder, 'no', 'folder'));
    terminal.line('a');
    expect(out.text()).toBe('a\n');
  });
});

describe('text of models', () => {
  it('cannot move the cursor, ring the bell or turn the text around', () => {
    expect(printable('\u001b[2Ja\u0007b\u202ec\u0085d\r\n\t')).toBe('\\x1b[2Ja\\x07b\\u202ec\\x85d\\r\\n\\t');
    expect(printable('a\nb\t\u001b', '\n\t')).toBe('a\nb\t\\x1b');
    expect(printable('äöü 漢字 😀')).toBe('äöü 漢字 😀');
  });

  it('fits on a line', () => {
    expect(oneLine('  a\nb ', 10)).toBe('a\\nb');
    expect(oneLine('abcdefghij', 5)).toBe('abcd…');
  });
});

describe('figures', () => {
  it('are short', () => {
    expect([formatBytes(512), formatBytes(1536), formatBytes(5.4e9)]).toEqual(['512 B', '1.5 kB', '5.4 GB']);
    expect([formatCount(999), formatCount(3_900_000), formatCount(1.5e9)]).toEqual(['999', '3.9M', '1.5B']);
    expect([formatDuration(42), formatDuration(725), formatDuration(11_099)]).toEqual(['0:42', '12:05', '3:04:59']);
  });

  it('commands to copy are quoted for the shell', () => {
    const words = [join('.sft', 'a', 'run'), 'a b', "it's"];
    const expected = onWindows ? ['.sft\\a\\run', '"a b"', '"it\'s"'] : ['.sft/a/run', "'a b'", "'it'\\''s'"];
    expect(words.map(quoted)).toEqual(expected);
  });

  it('experiments are named after their config', () => {
    expect(experimentName('/a/demo.sft.json')).toBe('demo');
    expect(experimentName('/a/My config!.json')).toBe('My config-');
    expect(experimentName('/a/.sft.json')).toBe('experiment');
  });
});

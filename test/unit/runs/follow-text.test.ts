import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { TextFollower } from '../../../src/runs/follow-text.js';

let folder: string;
let follower: TextFollower | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sft-text-'));
});
afterEach(() => {
  follower?.close();
  rmSync(folder, { recursive: true, force: true });
});

function follow(file: string) {
  const seen = { text: '', caughtUp: 0, restarts: 0, errors: [] as unknown[] };
  follower = new TextFollower(
    file,
    (piece) => {
      if (piece.restarted) {
        seen.restarts++;
        seen.text = '';
      }
      seen.text += piece.text;
      if (piece.caughtUp) seen.caughtUp++;
    },
    (error) => seen.errors.push(error),
  );
  return seen;
}

it('gives what is there, then what comes, also when a character comes in two pieces', async () => {
  const file = join(folder, 'console.log');
  writeFileSync(file, 'step 1\n');
  const seen = follow(file);
  await vi.waitFor(() => expect(seen.text).toBe('step 1\n'));
  const bytes = Buffer.from('größer\n');
  appendFileSync(file, bytes.subarray(0, 3));
  await vi.waitFor(() => expect(seen.text).toBe('step 1\ngr'));
  appendFileSync(file, bytes.subarray(3));
  await vi.waitFor(() => expect(seen.text).toBe('step 1\ngrößer\n'));
  expect(seen.restarts).toBe(0);
  expect(seen.errors).toEqual([]);
});

it('waits for a file that is not there yet, and begins again where it was replaced', async () => {
  const file = join(folder, 'console.log');
  const seen = follow(file);
  await vi.waitFor(() => expect(seen.caughtUp).toBe(1));
  writeFileSync(file, 'first\n');
  await vi.waitFor(() => expect(seen.text).toBe('first\n'));
  writeFileSync(`${file}.new`, 'second\n');
  renameSync(`${file}.new`, file);
  await vi.waitFor(() => expect(seen.text).toBe('second\n'));
  expect(seen.restarts).toBe(1);
});

it('shows the last mebibyte of a long file, from the beginning of a line', async () => {
  const file = join(folder, 'console.log');
  const lines = Array.from({ length: 40_000 }, (_, i) => `line ${i} ${'x'.repeat(40)}\n`);
  writeFileSync(file, lines.join(''));
  const seen = follow(file);
  await vi.waitFor(() => expect(seen.caughtUp).toBe(1), { timeout: 5000 });
  expect(seen.text.length).toBeLessThanOrEqual(1 << 20);
  expect(seen.text.length).toBeGreaterThan((1 << 20) - 100);
  expect(seen.text.startsWith('line ')).toBe(true);
  expect(lines.join('').endsWith(seen.text)).toBe(true);
});

/** `sft-lab inspect` and `sft-lab filter`, as a person runs them. */

import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { program } from './support.js';

const fixtures = fileURLToPath(new URL('../fixtures/', import.meta.url));
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sft-lab-inspect-'));
  const records = Array.from({ length: 40 }, (_, i) => ({
    prompt: `question ${i % 38}`,
    completion: i % 2 ? 'yes' : 'no',
  }));
  const lines = records.map((record) => `${JSON.stringify(record)}\n`);
  lines[7] = '{"prompt": "broken\n';
  lines[9] = `${JSON.stringify({ prompt: '\u001b[31mred\u202e', completion: 'maybe' })}\n`;
  writeFileSync(join(folder, 'data.jsonl'), lines.join(''));
  cpSync(join(fixtures, 'tokenizers', 'qwen'), join(folder, 'model'), { recursive: true });
  writeFileSync(join(folder, 'model', 'config.json'), '{}');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const run = (...args: string[]) => spawnSync(process.execPath, [program, ...args], { cwd: folder, encoding: 'utf8' });
const problemsSchema = z.object({
  records: z.number(),
  usable: z.number(),
  problems: z.array(z.object({ kind: z.string(), count: z.number(), rows: z.array(z.object({ row: z.number() })) })),
});

describe('inspect', () => {
  test('as JSON: counts, fields, problems with their rows', () => {
    const { stdout, status } = run('inspect', 'data.jsonl', '--json');
    expect(status).toBe(0);
    const overview = problemsSchema.parse(JSON.parse(stdout));
    expect(overview).toMatchObject({ records: 40, usable: 39 });
    const rows = Object.fromEntries(
      overview.problems.map(({ kind, rows: list }) => [kind, list.map(({ row }) => row)]),
    );
    expect(rows).toEqual({
      malformed: [7],
      'exact-duplicate': [38, 39],
      'label-outlier': [9],
      'odd-encoding': [9],
    });
  });

  test('as text, without the control characters of the data', () => {
    const { stdout, status } = run('inspect', 'data.jsonl', '--model', 'model', '--max-length', '8');
    expect(status).toBe(0);
    expect(stdout).toMatch(/40 records \(39 usable\)/);
    expect(stdout).toMatch(/\d+ tokens, \d+ \([\d.]+ %\) of them trained on/);
    expect(stdout).toMatch(/are cut off at max_length 8/);
    expect(stdout).toMatch(/malformed: 1\n {2}row 8 \(line 8\): the text is not valid JSON/);
    expect(stdout).not.toContain('\u001b');
    expect(stdout).not.toContain('\u202e');
  });

  test('other kinds, and what is none', () => {
    expect(run('inspect', join(fixtures, 'tables', 'datasets'), '--json').status).toBe(0);
    const missing = run('inspect', 'nothing.jsonl');
    expect(missing.status).not.toBe(0);
    expect(missing.stderr).toMatch(/nothing\.jsonl: cannot be opened/);
  });
});

describe('filter', () => {
  test('writes what is kept, says how much, and never writes over anything', () => {
    const first = run('filter', 'data.jsonl', '--where', 'problem != any', '-o', 'kept.jsonl');
    expect(first.stdout).toMatch(/original size +40 records\nfiltered size +36 records\nretention rate +90\.0 %/);
    expect(first.status).toBe(0);
    expect(readFileSync(join(folder, 'kept.jsonl'), 'utf8').trim().split('\n')).toHaveLength(36);
    const again = run('filter', 'data.jsonl', '--where', 'row = 1', '-o', 'kept.jsonl');
    expect(again.status).toBe(1);
    expect(again.stderr).toMatch(/exists already/);
    expect(readFileSync(join(folder, 'kept.jsonl'), 'utf8').trim().split('\n')).toHaveLength(36);
  });

  test.each([
    [['--where', 'lenght > 3', '-o', 'x.jsonl'], /cannot compare lenght/],
    [['--where', 'tokens > 3', '-o', 'x.jsonl'], /Give --model/],
    [['-o', 'x.jsonl'], /--where/],
  ])('%j is a mistake of usage', (args, message) => {
    const { status, stderr } = run('filter', 'data.jsonl', ...args);
    expect(status).toBe(2);
    expect(stderr).toMatch(message);
    expect(existsSync(join(folder, 'x.jsonl'))).toBe(false);
    expect(readdirSync(folder).filter((name) => name.includes('partial'))).toEqual([]);
  });
});

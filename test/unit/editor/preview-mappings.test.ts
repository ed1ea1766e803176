import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readMapping, writeMapping } from '../../../src/editor/preview/mappings.js';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sft-lab-mappings-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const file = (): string => join(root, '.sft', 'datasets.json');

it('keeps a mapping by path, in the words of a config, and forgets the automatic one', async () => {
  const a = join(root, 'data', 'a.jsonl');
  await writeMapping(root, a, { format: 'custom', prompt: 'q', completion: 'a' });
  await writeMapping(root, join(root, 'b.csv'), { format: 'text' });
  expect(JSON.parse(readFileSync(file(), 'utf8'))).toEqual({
    'b.csv': { format: 'text' },
    'data/a.jsonl': { format: 'custom', fields: { prompt: 'q', completion: 'a' } },
  });
  expect(await readMapping(root, a)).toEqual({ format: 'custom', fields: { prompt: 'q', completion: 'a' } });
  await writeMapping(root, a, { format: 'auto' });
  expect(await readMapping(root, a)).toEqual({ format: 'auto', fields: {} });
  expect(await readMapping(root, join(root, 'b.csv'))).toEqual({ format: 'text', fields: {} });
  expect(await readMapping(root, join(root, '__proto__'))).toEqual({ format: 'auto', fields: {} });
  expect(readdirSync(join(root, '.sft'))).toEqual(['datasets.json']);
});

it('keeps nothing of files outside, and changes no file that is not its own', async () => {
  await writeMapping(root, join(root, '..', 'x.jsonl'), { format: 'text' });
  await writeMapping(undefined, join(root, 'x.jsonl'), { format: 'text' });
  expect(readdirSync(root)).toEqual([]);
  mkdirSync(join(root, '.sft'));
  writeFileSync(file(), 'mine');
  await expect(writeMapping(root, join(root, 'x.jsonl'), { format: 'text' })).rejects.toThrow('not what SFT Lab wrote');
  expect(readFileSync(file(), 'utf8')).toBe('mine');
  expect(await readMapping(root, join(root, 'x.jsonl'))).toEqual({ format: 'auto', fields: {} });
});

/** The import order of the folders is held by the linter: what it forbids is an error, what it allows is not. */

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../..', import.meta.url));

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sft-lab-imports-'));
  const { overrides } = JSON.parse(readFileSync(join(root, 'biome.json'), 'utf8'));
  writeFileSync(join(folder, 'biome.json'), JSON.stringify({ overrides }));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function lint(file: string, imported: string, what = '{ x }'): string {
  mkdirSync(join(folder, dirname(file)), { recursive: true });
  writeFileSync(join(folder, file), `import ${what} from '${imported}';\n\nexport const y = x;\n`);
  const biome = join(root, 'node_modules', '.bin', 'biome');
  const { stdout, stderr } = spawnSync(biome, ['lint', '--colors=off', file], { cwd: folder, encoding: 'utf8' });
  return `${stdout}${stderr}`;
}

test.each([
  ['src/core/x.ts', '../data/index.js'],
  ['src/data/x.ts', '../train/trainer.js'],
  ['src/data/text/x.ts', '../../engine/index.js'],
  ['src/engine/x.ts', '../runs/lock.js'],
  ['src/runs/x.ts', '../data/index.js'],
  ['src/train/x.ts', '../cli/main.js'],
  ['src/cli/x.ts', '../editor/run.js'],
  ['src/editor/x.ts', '../train/trainer.js'],
  ['src/train/x.ts', 'vscode'],
])('%s may not import %s', (file, imported) => {
  expect(lint(file, imported)).toContain('noRestrictedImports');
});

test.each([
  ['src/data/x.ts', '../core/errors.js'],
  ['src/data/text/x.ts', '../read/records.js'],
  ['src/train/x.ts', '../engine/index.js'],
  ['src/cli/x.ts', '../train/trainer.js'],
  ['src/editor/x.ts', 'vscode'],
])('%s may import %s', (file, imported) => {
  expect(lint(file, imported)).not.toContain('noRestrictedImports');
});

test.each(['src/core/x.ts', 'src/editor/x.ts'])('%s may not import all of zod by the name z', (file) => {
  expect(lint(file, 'zod', '{ z as x }')).toContain('noRestrictedImports');
  expect(lint(file, 'zod', '* as x')).not.toContain('noRestrictedImports');
});

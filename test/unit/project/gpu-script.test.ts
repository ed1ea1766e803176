import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';

const script = fileURLToPath(new URL('../../../native/gpu/run.sh', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'sft-lab-gpu-script-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync('bash', [script, '--out', folder, ...args], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { status, text: stdout + stderr };
}

describe('native/gpu/run.sh', () => {
  it('refuses what it does not know, by name, and shows its stages', () => {
    const misspelt = run('mesure');
    expect(misspelt.status).toBe(2);
    expect(misspelt.text).toContain('no such stage or option: mesure');
    expect(misspelt.text).toMatch(/^ {2}sanitize {3}/m);
    expect(run('--models', '0.5b 3b', 'table')).toMatchObject({ status: 2, text: 'run.sh: no such model: 3b\n' });
    expect(run('--limit', 'long').status).toBe(2);
    expect(run('--models').status).toBe(2);
  });

  it('has the shapes of the models that it names by default', () => {
    const [, models] = /^models='(.*)'$/m.exec(readFileSync(script, 'utf8')) ?? [];
    const sizes = (models ?? '').split(' ').map((model) => {
      const file = new URL(`../../../native/gpu/models/${model}/config.json`, import.meta.url);
      const config: unknown = JSON.parse(readFileSync(file, 'utf8'));
      return config;
    });
    expect(sizes).toMatchObject([
      { hidden_size: 896, num_hidden_layers: 24, tie_word_embeddings: true },
      { hidden_size: 1536, num_hidden_layers: 28, tie_word_embeddings: true },
      { hidden_size: 3584, num_hidden_layers: 28, tie_word_embeddings: false },
    ]);
  });
});

/** The package: what is in it, how large it is, and that its engine trains with nothing else on the machine. */

import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, normalize, parse } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeConfig } from './harness/lab.js';
import { installPackage, packaged, root } from './harness/server.js';

const vsix = packaged();

describe.skipIf(vsix === undefined)('the package', () => {
  let folder = '';
  let installed = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sft-lab-package-'));
    installed = installPackage(vsix ?? '', folder);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('has less than 60 MB, and all of it is read at run time', () => {
    expect(statSync(vsix ?? '').size).toBeLessThan(60e6);
    const files = readdirSync(installed, { recursive: true, encoding: 'utf8' }).filter((file) =>
      statSync(join(installed, file)).isFile(),
    );
    const allowed = [
      /^(package\.json|readme\.md|changelog\.md|LICENSE\.txt|THIRD-PARTY-NOTICES\.txt|\.vsixmanifest)$/,
      /^dist\/(cli|data-worker|data-scan|preview-worker|[a-z-]+)\.(js|cjs)$/,
      /^dist\/parts\/[\w-]+-[A-Z0-9]{8}\.js$/,
      /^dist\/webview\/[a-z]+\.(js|css)$/,
      /^engine\/lib[\w+-]+\.so\.\d+$/,
      /^engine\/[\w.-]+\.node$/,
      /^media\/(icon\.png|icons\/[a-z-]+\.svg|schema\/[a-z-]+\.schema\.json|walkthrough\/[a-z-]+\.md)$/,
      /^media\/examples\/(README\.md|[a-z]+(\.train|\.eval)?\.(jsonl|sft\.json))$/,
      /^media\/starter-model\/[a-z_]+\.(json|safetensors)$/,
      /^node_modules\/node-pty\/(package\.json|LICENSE|lib\/[\w/]+\.js)$/,
      new RegExp(`^node_modules/node-pty/prebuilds/${process.platform}-${process.arch}/`),
    ];
    expect(files.filter((file) => !allowed.some((pattern) => pattern.test(file)))).toEqual([]);
    for (const needed of ['dist/extension.cjs', 'dist/cli.js', 'media/starter-model/model.safetensors']) {
      expect(files).toContain(needed);
    }
    const readme = readFileSync(join(installed, 'readme.md'), 'utf8');
    expect(readme).not.toMatch(/\]\((?!https?:)/);
  });

  it('names the work of others, with their licences', () => {
    const notices = readFileSync(join(installed, 'THIRD-PARTY-NOTICES.txt'), 'utf8');
    const libraries = readdirSync(join(installed, 'engine')).filter((file) => file.includes('.so'));
    expect(libraries.sort()).toEqual(['libOpenCL.so.1', 'libdnnl.so.2', 'libgomp.so.1']);
    for (const name of ['libdnnl2', 'libgomp1', 'ocl-icd-libopencl1', 'chart.js', 'node-pty', 'zod', 'node-addon-api'])
      expect(notices).toContain(`\n- ${name} `);
    expect(notices).toContain('GNU GENERAL PUBLIC LICENSE');
    expect(notices).toContain('Apache License');
  });

  it('loads its own libraries, whatever the machine has', () => {
    const lab = workspace(join(folder, 'own'));
    const log = join(folder, 'loader');
    const { status, stderr } = spawnSync(process.execPath, [join(installed, 'dist', 'cli.js'), 'train', lab.config], {
      cwd: lab.folder,
      encoding: 'utf8',
      env: { PATH: process.env.PATH, HOME: folder, LD_DEBUG: 'libs', LD_DEBUG_OUTPUT: log },
    });
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const loader = readdirSync(dirname(log))
      .filter((name) => name.startsWith('loader.'))
      .map((name) => readFileSync(join(folder, name), 'utf8'))
      .join('');
    const initialised = loader.matchAll(/calling init: (\S*(?:dnnl|gomp|OpenCL|x86-64-v\d)\S*)/g);
    const loaded = new Set([...initialised].map(([, file]) => normalize(file ?? '')));
    const level = readFileSync('/proc/cpuinfo', 'utf8').includes('avx512vl') ? 'x86-64-v4' : 'x86-64-v3';
    const own = ['libOpenCL.so.1', 'libdnnl.so.2', 'libgomp.so.1', `${level}.node`];
    expect([...loaded].sort()).toEqual(own.map((file) => join(installed, 'engine', file)));
  });

  it('chooses an engine that the machine can run, and each of them trains the same', () => {
    const engines = join(installed, 'engine');
    const levels = readdirSync(engines).flatMap((name) => (name.endsWith('.node') ? [parse(name).name] : []));
    expect(levels.sort()).toEqual(['x86-64-v3', 'x86-64-v4']);
    const flags = readFileSync('/proc/cpuinfo', 'utf8');
    const losses = levels
      .filter((level) => level === 'x86-64-v3' || flags.includes('avx512vl'))
      .map((level) => {
        // A package with this engine alone.
        const copy = join(folder, level);
        cpSync(installed, copy, { recursive: true });
        for (const other of levels) if (other !== level) rmSync(join(copy, 'engine', `${other}.node`));
        const lab = workspace(join(folder, `trained-${level}`));
        execFileSync(process.execPath, [join(copy, 'dist', 'cli.js'), 'train', lab.config], {
          cwd: lab.folder,
          stdio: 'pipe',
        });
        return lab.lastLoss();
      });
    for (const loss of losses) expect(loss).toBeCloseTo(losses[0] ?? 0, 2);
  });

  const mountable = spawnSync('unshare', ['--mount', 'true']).status === 0;
  it.skipIf(!mountable)('trains where neither oneDNN nor OpenMP nor this checkout is', () => {
    const lab = workspace(join(folder, 'bare'));
    const library = '/usr/lib/x86_64-linux-gnu';
    const hidden = readdirSync(library).filter((name) => /^lib(dnnl|gomp|OpenCL|mkl|openblas)/.test(name));
    // Nothing: reading one of them fails.
    const bare = [
      ...hidden
        .map((name) => join(library, name))
        .filter((file) => existsSync(file))
        .map((file) => `mount --bind /dev/null ${file}`),
      `mount -t tmpfs none ${root}`,
      `! ls ${join(root, 'package.json')} 2>/dev/null`,
      `exec "$@"`,
    ].join(' && ');
    const command = [process.execPath, join(installed, 'dist', 'cli.js'), 'train', lab.config];
    const { status, stderr } = spawnSync('unshare', ['--mount', 'sh', '-c', bare, 'sh', ...command], {
      cwd: lab.folder,
      encoding: 'utf8',
      env: { PATH: process.env.PATH, HOME: folder },
    });
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(lab.lastLoss()).toBeGreaterThan(0);
  });

  /** The examples of the package and a short config, in a folder of their own. */
  function workspace(at: string): { folder: string; config: string; lastLoss: () => number } {
    mkdirSync(at, { recursive: true });
    cpSync(join(installed, 'media', 'examples'), at, { recursive: true });
    const values = { model_name_or_path: 'sft-lab/starter', max_steps: 20, run_name: 'run', output_dir: '.sft' };
    const config = writeConfig(at, 'short', values);
    const lastLoss = (): number => {
      const events = readFileSync(join(at, '.sft', 'short', 'run', 'events.jsonl'), 'utf8')
        .trim()
        .split('\n');
      const steps = events
        .map((line): { type: string; loss: number } => JSON.parse(line))
        .filter(({ type }) => type === 'train');
      expect(steps).toHaveLength(20);
      return steps.at(-1)?.loss ?? Number.NaN;
    };
    return { folder: at, config, lastLoss };
  }
});

/**
 * `npm run bench:data [-- --quick]`: how the previewer fares on large data sets, against its targets. Makes a JSONL and a Parquet file
 * of one gigabyte and a million records (`--quick`: a tenth of it) in build/bench-data, once.
 */

import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { build } from 'esbuild';

const root = new URL('..', import.meta.url).pathname;
const quick = process.argv.includes('--quick');
const folder = join(root, 'build', 'bench-data');
const banner =
  "import { createRequire as labRequire } from 'node:module'; const require = labRequire(import.meta.url);";
mkdirSync(folder, { recursive: true });

await build({
  absWorkingDir: root,
  entryPoints: {
    'data-worker': 'src/data/worker.ts',
    'data-scan': 'src/data/view/scan-worker.ts',
    make: 'test/bench/make-data.ts',
    measure: 'test/bench/measure-data.ts',
  },
  outdir: folder,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  banner: { js: banner },
  logLevel: 'error',
});
for (const name of ['data-worker', 'data-scan']) renameSync(join(folder, `${name}.mjs`), join(folder, `${name}.js`));
// The workers are modules wherever they lie.
writeFileSync(join(folder, 'package.json'), '{"type": "module"}\n');

const records = quick ? 100_000 : 1_000_000;
const files = ['jsonl', 'parquet'].map((kind) => join(folder, `${records}.${kind}`));
for (const file of files) {
  if (existsSync(file)) continue;
  console.log(`bench: making ${file}`);
  const aside = `${file}.partial`;
  rmSync(aside, { force: true });
  execFileSync(
    process.execPath,
    [join(folder, 'make.mjs'), file.slice(file.lastIndexOf('.') + 1), aside, String(records)],
    {
      stdio: 'inherit',
    },
  );
  renameSync(aside, file);
}

const model = join(folder, 'model');
const fixtures = join(root, 'test', 'fixtures');
mkdirSync(model, { recursive: true });
writeFileSync(join(model, 'tokenizer.json'), gunzipSync(readFileSync(join(fixtures, 'bpe', 'qwen.tokenizer.json.gz'))));
copyFileSync(join(fixtures, 'tokenizers', 'qwen', 'tokenizer_config.json'), join(model, 'tokenizer_config.json'));
for (const file of files) console.log(`${file.slice(folder.length + 1)}: ${(statSync(file).size / 1e9).toFixed(2)} GB`);
execFileSync(process.execPath, ['--expose-gc', join(folder, 'measure.mjs'), ...files, model], { stdio: 'inherit' });

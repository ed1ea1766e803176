/**
 * `npm run bench:data [-- --quick]`: how the previewer fares on large data sets, against its targets. Makes a JSONL and a Parquet file
 * of one gigabyte and a million records (`--quick`: a tenth of it) in build/bench-data, once. `rows`, `tables`, `preview`, `overview` or
 * `table-overview` as an argument measures that group alone.
 */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const quick = process.argv.includes('--quick');
const folder = join(root, 'build', 'bench-data');
const banner =
  "import { createRequire as labRequire } from 'node:module'; const require = labRequire(import.meta.url);";
mkdirSync(folder, { recursive: true });
rmSync(join(folder, 'parts'), { recursive: true, force: true });

await build({
  absWorkingDir: root,
  entryPoints: {
    'data-worker': 'src/data/worker.ts',
    'data-scan': 'src/data/view/scan-worker.ts',
    'preview-worker': 'src/editor/preview/worker.ts',
    make: 'test/bench/make-data.ts',
    measure: 'test/bench/measure-data.ts',
  },
  outdir: folder,
  bundle: true,
  // As the extension has them: what a worker loads is a good part of its memory.
  splitting: true,
  chunkNames: 'parts/[name]-[hash]',
  platform: 'node',
  format: 'esm',
  target: 'node20',
  banner: { js: banner },
  logLevel: 'error',
});
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
    [join(folder, 'make.js'), file.slice(file.lastIndexOf('.') + 1), aside, String(records)],
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
const config = JSON.parse(readFileSync(join(fixtures, 'tokenizers', 'qwen', 'tokenizer_config.json'), 'utf8'));
const chatTemplate =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
writeFileSync(join(model, 'tokenizer_config.json'), JSON.stringify({ ...config, chat_template: chatTemplate }));
writeFileSync(join(model, 'config.json'), JSON.stringify({ model_type: 'qwen2', max_position_embeddings: 32768 }));
for (const file of files) console.log(`${file.slice(folder.length + 1)}: ${(statSync(file).size / 1e9).toFixed(2)} GB`);

/** A process for each group, so that the memory of one is not counted with the next. */
const groups = ['rows', 'tables', 'preview', 'overview', 'table-overview'];
const wanted = process.argv.slice(2).filter((one) => groups.includes(one));
const format = (value, unit) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
let missed = 0;
console.log(`\n${'operation'.padEnd(92)}${'measured'.padStart(16)}   target`);
for (const group of wanted.length > 0 ? wanted : groups) {
  const measure = [join(folder, 'measure.js'), group, ...files, model, join(folder, 'preview-worker.js')];
  const out = execFileSync(process.execPath, ['--expose-gc', ...measure], {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  });
  for (const line of out.trim().split('\n')) {
    const { name, value, unit, most, least } = JSON.parse(line);
    const met = (most === undefined || value <= most) && (least === undefined || value >= least);
    if (!met) missed++;
    const target = most === undefined ? (least === undefined ? '' : `≥ ${least} ${unit}`) : `≤ ${most} ${unit}`;
    const verdict = target === '' ? '' : met ? 'met' : 'MISSED';
    console.log(`${name.padEnd(92)}${format(value, unit).padStart(16)}   ${target.padEnd(16)} ${verdict}`);
  }
}
console.log(missed === 0 ? '\nall targets met' : `\n${missed} missed`);

/**
 * `npm run bench:events [-- --quick]`: what events cost. A flood of 10,000 a second for a minute (`--quick`: ten seconds) through a
 * terminal and a log into what the extension host does with them; what telling the editor costs a trainer, as a share of a step
 * of the starter model; and a list of 5,000 runs.
 */

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const quick = process.argv.includes('--quick');
const folder = join(root, 'build', 'bench-events');
const banner =
  "import { createRequire as labRequire } from 'node:module'; const require = labRequire(import.meta.url);";
mkdirSync(folder, { recursive: true });
await build({
  absWorkingDir: root,
  entryPoints: {
    trainer: 'test/bench/flood-trainer.ts',
    host: 'test/bench/flood-host.ts',
    list: 'test/bench/list-runs.ts',
  },
  outdir: folder,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  external: ['node-pty'],
  banner: { js: banner },
  logLevel: 'error',
});
writeFileSync(join(folder, 'package.json'), '{"type": "module"}\n');

function run(program, args, env = {}) {
  const text = execFileSync(process.execPath, [join(folder, program), ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return JSON.parse(text.trim().split('\n').at(-1));
}

/** Seconds of a step of the starter model on the example tickets, as its config has them. */
function stepSeconds() {
  const place = mkdtempSync(join(tmpdir(), 'sft-step-'));
  try {
    const config = JSON.parse(readFileSync(join(root, 'media', 'examples', 'tickets.sft.json'), 'utf8'));
    const { compare: _, ...rest } = config;
    const at = (file) => join(root, 'media', 'examples', file);
    writeFileSync(
      join(place, 'step.sft.json'),
      JSON.stringify({
        ...rest,
        model_name_or_path: join(root, 'media', 'starter-model'),
        train_dataset: at('tickets.train.jsonl'),
        eval_dataset: at('tickets.eval.jsonl'),
        output_dir: '.sft',
        run_name: 'step',
        experiment: 'step',
        max_steps: 60,
        eval_strategy: 'no',
        eval_on_start: false,
        save_strategy: 'no',
        logging_steps: 1,
      }),
    );
    execFileSync(process.execPath, [join(root, 'dist', 'cli.js'), 'train', 'step.sft.json', '--quiet'], {
      cwd: place,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const lines = readFileSync(join(place, '.sft', 'step', 'step', 'events.jsonl'), 'utf8')
      .trim()
      .split('\n');
    const times = lines.map((line) => JSON.parse(line)).filter(({ type }) => type === 'train');
    const steps = times.slice(1).map(({ trainSeconds }, i) => trainSeconds - times[i].trainSeconds);
    return steps.sort((a, b) => a - b)[Math.floor(steps.length / 2)];
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

const two = (value) => Number(value).toFixed(2);
const rows = [];
const say = (what, figure, target = '') => rows.push([what, figure, target]);

const flood = run('host.mjs', [join(folder, 'trainer.mjs')], {
  FLOOD_RATE: '10000',
  FLOOD_SECONDS: quick ? '10' : '60',
});
const { host, trainer } = flood;
say('flood: events sent, seen, out of order', `${host.sent}, ${host.seen}, ${host.outOfOrder}`, 'none lost');
say('flood: messages through the terminal', String(host.messages));
say('flood: behind at the end', `${two(host.behindMs)} ms`);
say(
  'flood: event loop late, mean / p99 / most',
  `${two(host.lagMs.mean)} / ${two(host.lagMs.p99)} / ${two(host.lagMs.max)} ms`,
  'under 50 ms',
);
say('flood: share of a core in the host', `${two(host.cpuShare * 100)} %`);
say(
  'flood: telling an event, in the trainer, median / mean',
  `${two(trainer.telling)} / ${two(trainer.meanTelling)} µs`,
);

// As a trainer's steps come: each is told by itself, or with others.
const step = stepSeconds();
const slow = run('host.mjs', [join(folder, 'trainer.mjs')], {
  FLOOD_RATE: String(Math.min(200, Math.max(1, Math.round(1 / step)))),
  FLOOD_SECONDS: '10',
});
say('a step of the starter model', `${two(step * 1000)} ms`);
say(
  'telling the editor of a step, median / mean',
  `${two(slow.trainer.telling)} / ${two(slow.trainer.meanTelling)} µs`,
);
say(
  'that is of a step, median / mean',
  `${[slow.trainer.telling, slow.trainer.meanTelling].map((us) => ((us / 1e6 / step) * 100).toFixed(4)).join(' / ')} %`,
  'mean under 0.05 %',
);
say('writing a step to the log', `${two(slow.trainer.logging)} µs`);

const list = run('list.mjs', []);
const spread = (listings, key) => listings.map((one) => two(one[key])).join(', ');
say(`${list.runs} runs, no cache: names after`, `${spread(list.cold, 'names')} ms`, 'under 300 ms');
say(`${list.runs} runs, no cache: states and best figures after`, `${spread(list.cold, 'all')} ms`);
say(`${list.runs} runs, cache: names after`, `${spread(list.warm, 'names')} ms`, 'under 300 ms');
say(`${list.runs} runs, cache: states and best figures after`, `${spread(list.warm, 'all')} ms`, 'under 300 ms');
say('processor time, no cache / cache', `${spread(list.cold, 'cpu')} / ${spread(list.warm, 'cpu')} ms`);
say('longest block, no cache / cache', `${spread(list.cold, 'blocked')} / ${spread(list.warm, 'blocked')} ms`);
say('a live run’s step shows after', `${list.liveAfterMs.map((ms) => two(ms)).join(', ')} ms`);

const widths = [0, 1].map((i) => Math.max(...rows.map((row) => row[i].length)));
for (const [what, figure, target] of rows)
  console.log(`${what.padEnd(widths[0])}  ${figure.padEnd(widths[1])}  ${target}`);
if (host.seen !== host.sent || host.outOfOrder > 0) {
  console.error('events were lost');
  process.exitCode = 1;
}

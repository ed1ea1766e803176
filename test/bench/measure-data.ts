/** Measures and prints the table: each operation, what it took, and its target. */

import { openSync, readSync } from 'node:fs';
import { analyse } from '../../src/data/view/analyse.js';
import { openDataView } from '../../src/data/view/index.js';

const [jsonl = '', parquet = '', model = ''] = process.argv.slice(2);
const lines: [string, string, string][] = [];
const say = (name: string, value: string, target: string): void => {
  lines.push([name, value, target]);
  console.log(`${name.padEnd(66)} ${value.padStart(18)}   ${target}`);
};
const ms = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} ms`;
const timed = async <T>(work: () => Promise<T>): Promise<[T, number]> => {
  const begin = performance.now();
  const value = await work();
  return [value, performance.now() - begin];
};
const best = async (times: number, work: () => Promise<unknown>): Promise<number> => {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < times; i++) least = Math.min(least, (await timed(work))[1]);
  return least;
};
const quantile = (values: number[], share: number): number =>
  values.sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0;

/** Into the page cache, so that the disk is not what is measured. */
function warm(file: string): void {
  const fd = openSync(file, 'r');
  const buffer = Buffer.alloc(1 << 22);
  while (readSync(fd, buffer) > 0);
}

warm(jsonl);
let peak = 0;
const idle = (() => {
  globalThis.gc?.();
  return process.memoryUsage.rss();
})();
const watch = setInterval(() => {
  peak = Math.max(peak, process.memoryUsage.rss());
}, 10);

const view = await openDataView(jsonl);
say('first 100 rows of the JSONL, the view being open', ms((await timed(() => view.rows(0, 100)))[1]), '≤ 50 ms');
const [records, firstIndex] = await timed(() => view.index());
const random = (bound: number): number => Math.floor(Math.random() * bound);
const rowTimes: number[] = [];
for (let i = 0; i < 2000; i++) rowTimes.push((await timed(() => view.rows(random(records), 1)))[1]);
say('any row, 99th percentile', ms(quantile(rowTimes, 0.99)), '≤ 5 ms');
const screenTimes: number[] = [];
for (let i = 0; i < 300; i++) screenTimes.push((await timed(() => view.rows(random(records), 50)))[1]);
say('a screen of 50 rows anywhere, slowest', ms(quantile(screenTimes, 1)), '≤ 100 ms');
say('memory over idle: opened, indexed, read', `${Math.round((peak - idle) / 1e6)} MB`, '≤ 64 MB');
// Making the index again and again would be counted as memory of the preview above: a worker's is given back late.
const index = Math.min(firstIndex, await best(5, () => view.index()));
say(`index of ${records} lines`, ms(index), '≤ 200 ms');
const [checked, checkTime] = await timed(() => view.check());
say(
  `every line checked, fields, lengths (${checked?.badCount} bad)`,
  ms(Math.min(checkTime, await best(3, () => view.check()))),
  '≤ 1 s',
);
say('memory over idle: all of that', `${Math.round((peak - idle) / 1e6)} MB`, '');
const silent = { row: () => undefined, share: () => undefined };
const options = { path: jsonl, format: 'auto' as const, evaluation: [], limit: 1000 };
say('sampled overview of 1000 records with problems', ms((await timed(() => analyse(options, silent)))[1]), 'at once');
const counting = {
  format: 'auto' as const,
  model: {
    modelDirectory: model,
    promptPrefix: '',
    instructionResponseSeparator: '\n\n',
    maxLength: 1024,
    lossOn: 'completion' as const,
    chatTemplate:
      "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
  },
};
const [counts, countTime] = await timed(() => view.countTokens(counting));
say(
  `exact counts of ${counts.tokens} tokens`,
  `${(counts.tokens / countTime / 1000).toFixed(2)}M tokens/s`,
  '≥ 2M tokens/s',
);
await view.close();

warm(parquet);
const table = await openDataView(parquet);
say('first 100 rows of the Parquet, the view being open', ms((await timed(() => table.rows(0, 100)))[1]), '≤ 50 ms');
const tableTimes: number[] = [];
for (let i = 0; i < 200; i++) tableTimes.push((await timed(() => table.rows(random(table.info.records ?? 1), 1)))[1]);
say('any row of the Parquet, 99th percentile', ms(quantile(tableTimes, 0.99)), '');
await table.close();
clearInterval(watch);

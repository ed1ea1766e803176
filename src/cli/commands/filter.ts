/** `sft-lab filter DATASET --where CONDITION -o OUT`: the records that a condition chooses, as a new data set. */

import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { LabError } from '../../core/errors.js';
import { parseWhere, runJob } from '../../data/view/index.js';
import { addDataFlags, analysisOptions, type DataFlags, stoppable } from '../data-flags.js';
import { asUsage } from '../failure.js';
import { makeTerminal } from './report.js';

interface FilterFlags extends DataFlags {
  readonly where: string;
  readonly output: string;
  readonly sort?: 'length' | '-length';
  readonly json?: boolean;
  readonly quiet?: boolean;
}

const help = `
Conditions: text, system, user, assistant, tool, prompt, completion, label, format, field.<path>
            = != : (contains) ~ (regular expression, /.../i) !: !~
            length (characters), tokens (with --model), turns, row, field.<path>
            = != < <= > >=
            problem = any or malformed, empty-completion, exact-duplicate, near-duplicate, eval-overlap,
            label-outlier, truncated, mixed-formats, odd-encoding, duplicate-keys, role-order, conflicting-answers
            and, or, not, parentheses

Example:    sft-lab filter data.jsonl --where 'problem != any and length < 4000' -o clean.jsonl`;

export function addFilter(program: Command): void {
  const command = program
    .command('filter')
    .description('Writes the records that a condition chooses to a new JSONL file.')
    .argument('<dataset>', 'JSONL, JSON, CSV, TSV (plain, gzip or zstd), XLSX, Parquet, or a folder of Arrow files')
    .requiredOption('--where <condition>', 'which records to keep')
    .requiredOption('-o, --output <file>', 'JSONL file to write; there must be none of that name');
  addDataFlags(command)
    .addOption(new Option('--sort <by>', 'order of the rows printed with --json').choices(['length', '-length']))
    .option('--json', 'print the figures and the rows kept as JSON')
    .option('--quiet', 'print nothing')
    .addHelpText('after', help)
    .action(async (dataset: string, flags: FilterFlags) => {
      const terminal = makeTerminal(flags.quiet === true || flags.json === true);
      const { data, where } = await asUsage(async () => {
        const condition = parseWhere(flags.where);
        if (/\btokens\b/.test(flags.where) && flags.model === undefined) {
          throw new LabError('tokens are counted by a model', { place: { field: 'where' }, advice: 'Give --model.' });
        }
        return { data: await analysisOptions(dataset, flags), where: condition };
      });
      const output = resolve(flags.output);
      const sort = flags.sort === undefined ? {} : { sort: flags.sort };
      const result = await stoppable((signal) =>
        runJob(
          'filter',
          { data, where, output, ...sort },
          { signal, onProgress: ({ row }) => terminal.live([[['dim', `row ${row + 1}`]]]) },
        ),
      );
      terminal.live([]);
      const kept = result.rows.length - result.unwritten;
      const retention = result.records === 0 ? 0 : kept / result.records;
      if (flags.json === true) {
        const rows = Array.from(result.rows);
        process.stdout.write(
          `${JSON.stringify({ records: result.records, kept, retention, output, rows }, null, 2)}\n`,
        );
        return;
      }
      terminal.line(`original size   ${result.records} records`);
      terminal.line(`filtered size   ${kept} records`);
      terminal.line(`retention rate  ${(100 * retention).toFixed(1)} %`);
      if (result.unwritten > 0) {
        terminal.line(['yellow', `${result.unwritten} chosen records cannot be read and were not written`]);
      }
      terminal.line(['dim', `Written: ${flags.output}`]);
    });
}

/** `sft-lab inspect DATASET`: what a data set of any kind holds, and what is wrong with it. */

import { relative } from 'node:path';
import type { Command } from 'commander';
import { formatBytes } from '../../core/units.js';
import { binStart, quantile } from '../../data/view/histogram.js';
import { type Analysis, type RowProblems, runJob } from '../../data/view/index.js';
import { addDataFlags, analysisOptions, type DataFlags, stoppable, wholeFrom } from '../data-flags.js';
import { asUsage } from '../failure.js';
import { printable, type Terminal } from '../terminal.js';
import { makeTerminal } from './report.js';

interface InspectFlags extends DataFlags {
  readonly limit?: number;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

const shownRows = 3;
const barWidth = 40;

export function addInspect(program: Command): void {
  const command = program
    .command('inspect')
    .description('Prints what a data set holds: formats, lengths, tokens, labels, and problems with their rows.')
    .argument('<dataset>', 'JSONL, JSON, CSV, TSV (plain, gzip or zstd), XLSX, Parquet, or a folder of Arrow files');
  addDataFlags(command)
    .option('--limit <records>', 'looks at the first records only; the figures are marked as sampled', wholeFrom(1))
    .option('--json', 'print the overview as JSON')
    .option('--quiet', 'print nothing but the JSON')
    .action(async (dataset: string, flags: InspectFlags) => {
      const terminal = makeTerminal(flags.quiet === true || flags.json === true);
      const options = await asUsage(() => analysisOptions(dataset, flags));
      const analysis = await stoppable((signal) =>
        runJob(
          'analyse',
          { ...options, ...(flags.limit === undefined ? {} : { limit: flags.limit }) },
          { signal, onProgress: ({ row }) => terminal.live([[['dim', `row ${row + 1}`]]]) },
        ),
      );
      terminal.live([]);
      if (flags.json === true) process.stdout.write(`${JSON.stringify(overviewJson(analysis), null, 2)}\n`);
      else print(analysis, terminal);
    });
}

/** The overview with its histograms as lists of bins that hold something. */
function overviewJson(analysis: Analysis): object {
  const { bins, tokens, ...rest } = analysis;
  return {
    ...rest,
    lengths: histogram(bins),
    ...(tokens === undefined ? {} : { tokens: { ...tokens, bins: undefined, lengths: histogram(tokens.bins) } }),
  };
}

function histogram(bins: Float64Array): object {
  return {
    median: quantile(bins, 0.5),
    p90: quantile(bins, 0.9),
    p99: quantile(bins, 0.99),
    bins: [...bins].flatMap((count, bin) =>
      count === 0 ? [] : [{ from: binStart(bin), to: Math.max(binStart(bin), binStart(bin + 1) - 1), count }],
    ),
  };
}

function print(analysis: Analysis, terminal: Terminal): void {
  const { records, usable, sampled, bytes, formats, turns, tokens, labels, problems } = analysis;
  const name = printable(relative(process.cwd(), analysis.path));
  terminal.line(['bold', name], sampled ? ['yellow', `  sampled: the first ${records} records`] : '');
  const kinds = Object.entries(formats).map(([format, count]) => (count === usable ? format : `${format} ${count}`));
  terminal.line(
    `${records} records (${usable} usable), ${formatBytes(bytes)}, ${kinds.join(', ') || 'no known format'}`,
  );
  if (turns > 0) {
    const counts = Object.entries(analysis.turnCounts).map(([count, how]) => `${how} × ${count}`);
    terminal.line(`${turns} messages; in a conversation: ${counts.join(', ')}`);
  }
  if (tokens === undefined) {
    terminal.line('');
    terminal.line(['bold', 'Characters of a record']);
    printBins(analysis.bins, terminal);
    terminal.line(['dim', 'Give --model to count tokens exactly as they will be trained on.']);
  } else {
    const share = tokens.tokens === 0 ? 0 : Math.round((1000 * tokens.lossTokens) / tokens.tokens) / 10;
    terminal.line(`${tokens.tokens} tokens, ${tokens.lossTokens} (${share} %) of them trained on`);
    const { truncatedRecords: cut, truncatedTokens, maxLength } = tokens;
    if (cut > 0)
      terminal.line(['yellow', `${cut} records are cut off at max_length ${maxLength}: ${truncatedTokens} tokens`]);
    terminal.line('');
    terminal.line(['bold', 'Tokens of a record']);
    printBins(tokens.bins, terminal);
  }
  if (labels !== undefined) {
    terminal.line('');
    terminal.line(['bold', 'Labels']);
    const most = Math.max(1, ...labels.map(({ count }) => count));
    for (const { label, count } of labels.slice(0, 20)) {
      terminal.line(`${terminal.bar(count / most, 20)} ${count} ${printable(label)}`);
    }
    if (labels.length > 20) terminal.line(['dim', `and ${labels.length - 20} more`]);
  }
  terminal.line('');
  terminal.line(['bold', 'Fields']);
  for (const { path, types } of analysis.schema.slice(0, 40)) {
    terminal.line(
      `${printable(path)}: ${Object.entries(types)
        .map(([type, count]) => `${type} ${count}`)
        .join(', ')}`,
    );
  }
  if (analysis.schema.length > 40) terminal.line(['dim', `and ${analysis.schema.length - 40} more`]);
  terminal.line('');
  terminal.line(['bold', 'Problems']);
  if (problems.length === 0) terminal.line(['green', 'none found']);
  for (const problem of problems) printProblem(problem, terminal);
  if (analysis.duplicatesWithin !== undefined) {
    terminal.line(['dim', `Duplicates are looked for within the first ${analysis.duplicatesWithin} records.`]);
  }
}

/** Bars of doubling lengths. */
function printBins(bins: Float64Array, terminal: Terminal): void {
  const rows = new Map<number, number>();
  for (const [bin, count] of bins.entries()) {
    const row = bin === 0 ? 0 : 1 + Math.floor((bin - 1) / 4);
    if (count > 0) rows.set(row, (rows.get(row) ?? 0) + count);
  }
  const most = Math.max(1, ...rows.values());
  for (const [row, count] of [...rows].sort(([a], [b]) => a - b)) {
    const from = row === 0 ? 0 : 2 ** (row - 1);
    const range = row === 0 ? '0' : from === 1 ? '1' : `${from}–${2 * from - 1}`;
    terminal.line(`${range.padStart(15)} ${terminal.bar(count / most, barWidth)} ${count}`);
  }
  terminal.line([
    'dim',
    `median ${quantile(bins, 0.5)}, 90 % up to ${quantile(bins, 0.9)}, 99 % up to ${quantile(bins, 0.99)}`,
  ]);
}

function printProblem({ kind, count, rows }: RowProblems, terminal: Terminal): void {
  terminal.line(['yellow', `${kind}: ${count}`]);
  for (const { row, line, message } of rows.slice(0, shownRows)) {
    terminal.line(`  row ${row + 1} (line ${line}): ${printable(message)}`);
  }
  if (count > shownRows) terminal.line(['dim', `  and ${count - shownRows} more`]);
}

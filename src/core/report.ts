/** The summary of an experiment: pure functions from the runs' histories to a report and its renderings. */

import * as z from 'zod';
import type { EventOf } from './events.js';
import type { RunHistory, RunState } from './history.js';

const nullable = z.number().nullable();

const rowSchema = z.object({
  run: z.string(),
  label: z.string(),
  kind: z.enum(['train', 'baseline']),
  /** `missing`: planned, but without a folder. */
  state: z.enum(['finished', 'failed', 'interrupted', 'running', 'created', 'missing']),
  reason: z.string().nullable(),
  values: z.record(z.string(), z.unknown()),
  epochs: nullable,
  steps: z.number(),
  totalSteps: nullable,
  accuracy: nullable,
  kappa: nullable,
  meanScore: nullable,
  unparsable: nullable,
  answers: nullable,
  trainSeconds: nullable,
  msPerSample: nullable,
  loss: nullable,
  promptLoss: nullable,
  completionLoss: nullable,
  tokenAccuracy: nullable,
  entropy: nullable,
  /** Of the training curve's last point. */
  trainLoss: nullable,
  tokensPerSecond: nullable,
  /** Of the newest checkpoint, relative to the experiment's folder. */
  checkpoint: z.string().nullable(),
  confusion: z.object({ labels: z.array(z.string()), counts: z.array(z.array(z.number())) }).nullable(),
  /** The other evaluation sets. */
  sets: z.record(
    z.string(),
    z.object({ loss: nullable, completionLoss: nullable, accuracy: nullable, kappa: nullable, meanScore: nullable }),
  ),
});

export const reportSchema = z.object({
  v: z.literal(1),
  experiment: z.string(),
  created: z.iso.datetime(),
  /** The evaluation set that the figures are of. */
  set: z.string().nullable(),
  /** What the best run is best by. */
  metric: z.enum(['accuracy', 'completionLoss', 'loss']).nullable(),
  best: z.string().nullable(),
  rows: z.array(rowSchema),
});

export type Report = z.infer<typeof reportSchema>;
export type ReportRow = Report['rows'][number];

/** Of a run that is not finished, how far it is: `failed at step 12`. */
export function standingOf({ state, steps }: ReportRow): string {
  switch (state) {
    case 'created':
      return 'not begun';
    case 'missing':
      return 'missing';
    default:
      return `${state} at step ${steps}`;
  }
}

export interface ReportInput {
  readonly run: string;
  readonly label: string;
  readonly kind: 'train' | 'baseline';
  readonly state: RunState | 'missing';
  readonly values: Readonly<Record<string, unknown>>;
  /** Undefined: no folder. */
  readonly history: RunHistory | undefined;
}

export function buildReport(experiment: string, inputs: readonly ReportInput[], time: Date): Report {
  const set = primarySet(inputs);
  const rows = inputs.map((input) => rowOf(input, set));
  const tuned = rows.filter(({ kind, state }) => kind === 'train' && state === 'finished');
  const metric = tuned.some(({ accuracy }) => accuracy !== null)
    ? 'accuracy'
    : tuned.some(({ completionLoss }) => completionLoss !== null)
      ? 'completionLoss'
      : tuned.some(({ loss }) => loss !== null)
        ? 'loss'
        : null;
  return {
    v: 1,
    experiment,
    created: time.toISOString(),
    set,
    metric,
    best: metric === null ? null : (bestBy(tuned, metric)?.run ?? null),
    rows,
  };
}

/** The first evaluation set with answers, else the first. */
function primarySet(inputs: readonly ReportInput[]): string | null {
  const evals = inputs.flatMap(({ history }) => history?.evals ?? []);
  const chosen = evals.find(({ answers }) => answers !== null && answers.accuracy !== null) ?? evals[0];
  return chosen?.set ?? null;
}

function bestBy(rows: readonly ReportRow[], metric: 'accuracy' | 'completionLoss' | 'loss'): ReportRow | undefined {
  let best: ReportRow | undefined;
  for (const row of rows) {
    const value = row[metric];
    if (value === null) continue;
    const before = best?.[metric] ?? null;
    const better = before === null || (metric === 'accuracy' ? value > before : value < before);
    // Equal accuracies are told apart by the loss of the completions.
    const tied = value === before && (row.completionLoss ?? Infinity) < (best?.completionLoss ?? Infinity);
    if (better || tied) best = row;
  }
  return best;
}

function rowOf(input: ReportInput, set: string | null): ReportRow {
  const { history } = input;
  const last = lastOf(history?.evals.filter((event) => event.set === set));
  const train = lastOf(history?.train);
  const sets: ReportRow['sets'] = {};
  for (const event of history?.evals ?? []) {
    if (event.set === set) continue;
    sets[event.set] = {
      loss: event.loss,
      completionLoss: event.completionLoss,
      accuracy: event.answers?.accuracy ?? null,
      kappa: event.answers?.kappa ?? null,
      meanScore: event.answers?.meanScore ?? null,
    };
  }
  const answers = last?.answers ?? null;
  const checkpoint = lastOf(history?.checkpoints);
  const confusion = answers?.confusion ?? null;
  const status = history?.status;
  return {
    run: input.run,
    label: input.label,
    kind: input.kind,
    state: input.state,
    reason: input.state === 'failed' || input.state === 'interrupted' ? (status?.reason ?? null) : null,
    values: { ...input.values },
    epochs: input.kind === 'baseline' ? 0 : train === undefined ? null : Math.round(train.epoch * 100) / 100,
    steps: train?.step ?? 0,
    totalSteps: status?.totalSteps ?? null,
    accuracy: answers?.accuracy ?? null,
    kappa: answers?.kappa ?? null,
    meanScore: answers?.meanScore ?? null,
    unparsable: answers?.unparsable ?? null,
    answers: answers?.count ?? null,
    trainSeconds: status === undefined ? null : Math.max(status.trainSeconds, train?.trainSeconds ?? 0),
    msPerSample: answers?.msPerSample ?? null,
    loss: last?.loss ?? null,
    promptLoss: last?.promptLoss ?? null,
    completionLoss: last?.completionLoss ?? null,
    tokenAccuracy: last?.tokenAccuracy ?? null,
    entropy: last?.entropy ?? null,
    trainLoss: train?.loss ?? null,
    tokensPerSecond: meanThroughput(history?.train),
    checkpoint: checkpoint === undefined ? null : `${input.run}/${checkpoint.path}`,
    confusion,
    sets,
  };
}

function lastOf<T>(list: readonly T[] | undefined): T | undefined {
  return list?.at(-1);
}

function meanThroughput(train: readonly EventOf<'train'>[] | undefined): number | null {
  const last = lastOf(train);
  return last === undefined || last.trainSeconds <= 0 ? null : last.tokens / last.trainSeconds;
}

interface Column {
  readonly title: string;
  /** Where there is little room. */
  readonly short?: string;
  readonly value: (row: ReportRow) => number | string | null;
  readonly digits?: number;
}

/** The summary table's columns; the first six as people have had them from their scripts. */
const columns: readonly Column[] = [
  { title: 'Experiment', value: ({ label }) => label },
  { title: 'Epochs', value: ({ epochs }) => epochs },
  { title: 'Accuracy', value: ({ accuracy }) => accuracy, digits: 4 },
  { title: 'Kappa', value: ({ kappa }) => kappa, digits: 4 },
  { title: 'Mean Score', value: ({ meanScore }) => meanScore, digits: 2 },
  { title: 'Train Time (s)', short: 'Train (s)', value: ({ trainSeconds }) => trainSeconds, digits: 2 },
  { title: 'Inference (ms/sample)', short: 'ms/sample', value: ({ msPerSample }) => msPerSample, digits: 2 },
  { title: 'Prompt Loss', short: 'Prompt', value: ({ promptLoss }) => promptLoss, digits: 4 },
  { title: 'Completion Loss', short: 'Completion', value: ({ completionLoss }) => completionLoss, digits: 4 },
  { title: 'Tokens/s', value: ({ tokensPerSecond }) => tokensPerSecond, digits: 0 },
  { title: 'State', value: ({ state }) => state },
];

function cell(column: Column, row: ReportRow): string {
  const value = column.value(row);
  if (value === null) return '–';
  return typeof value === 'number' && column.digits !== undefined ? value.toFixed(column.digits) : String(value);
}

/** Columns that say something: those of answers go when nothing was answered. */
function usedColumns(report: Report): readonly Column[] {
  return columns.filter((column) => report.rows.some((row) => column.value(row) !== null));
}

/** What goes first where a terminal is too narrow; who is not finished is said below the table. */
const dispensable = ['State', 'Tokens/s', 'Prompt Loss', 'Inference (ms/sample)', 'Epochs', 'Train Time (s)'];

/**
 * The table for a terminal: aligned, the best run marked by `*`.
 *
 * @param width of the terminal in characters; columns are left out until the table fits
 */
export function reportTable(report: Report, width = Number.POSITIVE_INFINITY): string[] {
  let used = usedColumns(report);
  let lines = tableOf(report, used);
  for (const title of dispensable) {
    if ((lines[0]?.length ?? 0) <= width) break;
    used = used.filter((column) => column.title !== title);
    lines = tableOf(report, used);
  }
  return lines;
}

function tableOf(report: Report, used: readonly Column[]): string[] {
  const body = report.rows.map((row) =>
    used.map((column, i) => (i === 0 && row.run === report.best ? `* ${cell(column, row)}` : cell(column, row))),
  );
  const rows = [used.map(({ title, short }) => short ?? title), ...body];
  const widths = used.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  const numeric = used.map(({ title }) => title !== 'Experiment' && title !== 'State');
  const line = (row: readonly string[]): string =>
    row
      .map((text, i) => (numeric[i] === true ? text.padStart(widths[i] ?? 0) : text.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd();
  const rule = '-'.repeat(widths.reduce((sum, width) => sum + width + 2, -2));
  return [rule.replaceAll('-', '='), line(rows[0] ?? []), rule, ...rows.slice(1).map(line), rule.replaceAll('-', '=')];
}

/** One sentence on the best run. */
export function bestSentence(report: Report): string | undefined {
  const best = report.rows.find(({ run }) => run === report.best);
  if (best === undefined || report.metric === null) return undefined;
  const baseline = report.rows.find(({ kind }) => kind === 'baseline');
  const name = report.metric === 'accuracy' ? 'accuracy' : report.metric === 'loss' ? 'loss' : 'completion loss';
  const before = baseline?.[report.metric] ?? null;
  const versus = before === null ? '' : ` (untuned: ${before.toFixed(4)})`;
  return `Best: ${best.label} with ${name} ${best[report.metric]?.toFixed(4) ?? ''}${versus}`;
}

export function reportMarkdown(report: Report): string {
  const used = usedColumns(report);
  const plain = (text: string): string => text.replace(/[|\\`*_<>[\]]/g, '\\$&').replace(/\s+/g, ' ');
  const tableRow = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const lines = [`# ${plain(report.experiment)}`, ''];
  const best = bestSentence(report);
  if (best !== undefined) lines.push(`**${plain(best)}**`, '');
  if (report.set !== null) lines.push(`Evaluation set: ${plain(report.set)}. Made ${report.created}.`, '');
  lines.push(tableRow(used.map(({ title }) => title)), tableRow(used.map((_, i) => (i === 0 ? '---' : '---:'))));
  for (const row of report.rows) {
    const cells = used.map((column) => plain(cell(column, row)));
    lines.push(tableRow(row.run === report.best ? cells.map((text) => `**${text}**`) : cells));
  }
  const unfinished = report.rows.filter(({ state }) => state !== 'finished');
  if (unfinished.length > 0) {
    lines.push('', '## Not finished', '');
    for (const row of unfinished) {
      const reason = row.reason === null ? '' : `: ${plain(row.reason)}`;
      lines.push(`- ${plain(row.label)} (${row.run}): ${standingOf(row)}${reason}`);
    }
  }
  const confused = report.rows.filter(({ confusion }) => confusion !== null);
  if (confused.length > 0) lines.push('', '## Answers by label', '', 'Rows are references, columns answers.');
  for (const row of confused) {
    if (row.confusion === null) continue;
    const { labels, counts } = row.confusion;
    lines.push('', `### ${plain(row.label)}`, '');
    lines.push(tableRow(['', ...labels.map(plain), 'unparsable', 'recall']));
    lines.push(tableRow(['---', ...labels.map(() => '---:'), '---:', '---:']));
    labels.forEach((label, i) => {
      const line = counts[i] ?? [];
      const total = line.reduce((sum, count) => sum + count, 0);
      const recall = total === 0 ? '–' : ((line[i] ?? 0) / total).toFixed(3);
      lines.push(tableRow([plain(label), ...line.map(String), recall]));
    });
  }
  return `${lines.join('\n')}\n`;
}

/** RFC 4180, one row a run, the full figures. */
export function reportCsv(report: Report): string {
  const quote = (value: number | string | null): string => {
    if (value === null) return '';
    if (typeof value === 'number') return String(value);
    // A leading =, +, - or @ would be a formula to a spreadsheet.
    const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const extra: readonly Column[] = [
    { title: 'Run', value: ({ run }) => run },
    { title: 'Best', value: ({ run }) => (run === report.best ? 'yes' : '') },
    { title: 'Loss', value: ({ loss }) => loss },
    { title: 'Token Accuracy', value: ({ tokenAccuracy }) => tokenAccuracy },
    { title: 'Entropy', value: ({ entropy }) => entropy },
    { title: 'Unparsable', value: ({ unparsable }) => unparsable },
    { title: 'Answers', value: ({ answers }) => answers },
    { title: 'Steps', value: ({ steps }) => steps },
    { title: 'Reason', value: ({ reason }) => reason },
  ];
  const all = [...columns, ...extra];
  const lines = [
    all.map(({ title }) => quote(title)),
    ...report.rows.map((row) => all.map(({ value }) => quote(value(row)))),
  ];
  return `${lines.map((line) => line.join(',')).join('\r\n')}\r\n`;
}

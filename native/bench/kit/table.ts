/** Results as tables: Markdown, aligned so that it reads as well in a terminal. */

import { isMet, ratio, type Target } from './targets.js';
import type { Figure, TrialResult } from './trial.js';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGB: number;
  readonly system: string;
  readonly node: string;
  readonly oneDNN: string;
  /** GFLOP/s of a 2048 cubed product, the best measured in these runs. */
  readonly peak: { readonly fp32: number; readonly bf16: number };
  readonly peers: Readonly<Record<string, string>>;
}

export interface Results {
  readonly machine: Machine;
  readonly trials: readonly TrialResult[];
}

export function formatValue(value: number | null | undefined, unit: string): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return `${value.toLocaleString('en', { maximumFractionDigits: digits, minimumFractionDigits: digits })} ${unit}`;
}

function targetText({ better }: Figure, target: Target | undefined, unit: string): string {
  if (target === undefined) return '–';
  const sign = better === 'more' ? '≥' : '≤';
  return target.of === 'ratio' ? `${sign} ${target.bound}×` : `${sign} ${target.bound} ${unit}`;
}

/** One trial's figures: figure, ours, each peer, ratio to the best peer, target, met or not. */
export function figuresTable(figures: readonly Figure[], targets: Readonly<Record<string, Target>>): string {
  const peers = [...new Set(figures.flatMap(({ peers: names }) => Object.keys(names)))];
  const rows = figures.map((figure) => {
    const target = targets[figure.key];
    const met = isMet(figure, target);
    const times = ratio(figure);
    return [
      figure.title,
      formatValue(figure.ours, figure.unit),
      ...peers.map((peer) => formatValue(figure.peers[peer], figure.unit)),
      times === undefined ? '–' : `${times.toFixed(2)}×`,
      targetText(figure, target, figure.unit),
      met === undefined ? '–' : met ? 'met' : 'not met',
    ];
  });
  return markdownTable(['figure', 'SFT Lab', ...peers, 'ours / best peer', 'target', ''], rows);
}

export function markdownTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, i) => Math.max(3, title.length, ...rows.map((row) => (row[i] ?? '').length)));
  const line = (cells: readonly string[]) =>
    `| ${widths.map((width, i) => (i === 0 ? (cells[i] ?? '').padEnd(width) : (cells[i] ?? '').padStart(width))).join(' | ')} |`;
  const rule = `|${widths.map((width, i) => (i === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  return [line(header), rule, ...rows.map(line)].join('\n');
}

/** Figures of a busy machine say less, ratios of sides in turn a little less. */
function busy(others: number): string {
  return others < 0.05 ? '' : `, while other programs took ${(100 * others).toFixed(0)} % of the processors`;
}

/** One trial: title, date, setting, table, and what has to hold. */
export function trialText(result: TrialResult, targets: Readonly<Record<string, Target>>): string {
  return [
    `### ${result.title}`,
    '',
    `${result.date}${result.quick ? ', the quick version' : ''}${busy(result.others)}: ${result.setting}.`,
    ...(result.figures.length > 0 ? ['', figuresTable(result.figures, targets)] : []),
    ...(result.tables ?? []).flatMap(({ header, rows }) => ['', markdownTable(header, rows)]),
    ...(result.checks.length + result.notes.length > 0 ? [''] : []),
    ...result.checks.map(({ title, value, holds }) => `- ${holds ? '' : '**does not hold** '}${title}: ${value}`),
    ...result.notes.map((note) => `- ${note}`),
  ].join('\n');
}

/** The whole, as it goes into native/README.md. */
export function resultsText({ machine, trials }: Results, targets: Readonly<Record<string, Target>>): string {
  const peers = Object.entries(machine.peers).map(([name, version]) => `${name} ${version}`);
  return [
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGB} GB, ${machine.system}; Node ${machine.node}, oneDNN ${machine.oneDNN}; ` +
      `peers: ${peers.join(', ')}. A 2048³ product by oneDNN: ${machine.peak.bf16.toFixed(0)} GFLOP/s in bf16, ` +
      `${machine.peak.fp32.toFixed(0)} in fp32.`,
    ...trials.flatMap((trial) => ['', trialText(trial, targets)]),
  ].join('\n');
}

export const sectionStart = '<!-- bench: written by `npm run bench -- --readme` -->';
export const sectionEnd = '<!-- /bench -->';

/** Replaces what stands between the marks. @throws Error where they are not there */
export function withSection(document: string, text: string): string {
  const from = document.indexOf(sectionStart);
  const to = document.indexOf(sectionEnd);
  if (from < 0 || to < from) throw new Error(`the document lacks the marks ${sectionStart} and ${sectionEnd}`);
  return `${document.slice(0, from + sectionStart.length)}\n${text}\n${document.slice(to)}`;
}

/** One reading of a whole set: the figures so far, at any time, under any mask. */

import type { Example } from '../../core/data.js';
import { normalizeAnswer } from '../../core/metrics.js';
import type { Figures, Filter, PreviewProblem } from '../../core/view/preview.js';
import { type ProblemKind, problemKinds, problemSeverity, problemTitles } from '../../core/view/preview-problems.js';
import type { RawRecord } from '../../data/read/records.js';
import type { Mask, ScanOptions } from './protocol.js';
import { runsOf } from './shown.js';
import { type Analyser, analyserOf, binStart, lengthBin } from './source.js';
import { RowTable } from './table.js';
import type { Task } from './worker.js';

const shownPlaces = 5;
const mostLabels = 64;
const longestLabel = 64;

export class Scan {
  readonly table = new RowTable();
  done = false;
  private readonly analyser: Analyser;
  private readonly counts = new Map<ProblemKind, number>();
  private readonly bins = new Map<number, number>();
  private readonly formats = new Map<string, number>();
  private labels: [string, number][] = [];
  private firsts = new Map<ProblemKind, PreviewProblem['first']>();
  private bytes = 0;
  private turns = 0;

  constructor(
    private readonly options: ScanOptions,
    private readonly size: number,
  ) {
    this.analyser = analyserOf(options, (kind, row) => {
      this.table.mark(kind, row);
      this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
    });
  }

  /** Reads the evaluation sets, whose prompts are to be told. */
  async begin(task: Task): Promise<void> {
    await this.analyser.readEvaluation({ row: (row) => task.beat(row), share: () => undefined });
  }

  add(record: RawRecord): void {
    this.bytes += record.bytes;
    const seen = this.analyser.add(record);
    if (seen === undefined) {
      this.table.add({ length: 0, turns: 0, runs: [], label: undefined });
      return;
    }
    const { example, format, tokenized } = seen;
    const length = this.options.model === undefined ? characters(example) : (tokenized?.tokens.length ?? 0);
    const turns = example.kind === 'text' ? 1 : example.messages.length;
    this.turns += turns;
    this.formats.set(format, (this.formats.get(format) ?? 0) + 1);
    const bin = lengthBin(length);
    this.bins.set(bin, (this.bins.get(bin) ?? 0) + 1);
    this.table.add({
      length,
      turns,
      runs: tokenized === undefined ? [] : runsOf(tokenized.groups),
      label: this.answerOf(example),
    });
  }

  /** Parsing has thrown these away: the lines are gone through once more, fast. */
  async findDuplicateKeys(task: { beat(row: number): void }): Promise<void> {
    await this.analyser.findDuplicateKeys({ row: (row) => task.beat(row), share: () => undefined });
  }

  finish(): void {
    const { labels, problems } = this.analyser.finish(false);
    this.labels = labels?.slice(0, mostLabels).map(({ label, count }): [string, number] => [label, count]) ?? [];
    for (const { kind, rows } of problems) {
      this.firsts.set(
        kind,
        rows.slice(0, shownPlaces).map(({ row, line, message }) => ({ row, line, message: message.slice(0, 300) })),
      );
    }
    this.done = true;
  }

  figures(mask: Mask): Figures {
    const { table } = this;
    const sums = table.sums(mask);
    const hasTokens = this.options.model !== undefined;
    return {
      share: this.done ? 1 : Math.min(0.999, this.bytes / Math.max(1, this.size)),
      done: this.done,
      hasTokens,
      records: table.count,
      turns: this.turns,
      tokens: sums.tokens,
      keptTokens: sums.kept,
      lossTokens: sums.loss,
      longest: sums.longest,
      truncated: sums.truncated,
      formats: [...this.formats].sort(([, a], [, b]) => b - a),
      bins: this.binList(),
      labels: this.done ? this.labels : [],
      problems: this.problems(mask, sums),
    };
  }

  /** Whether a row fits the filter, its text apart. */
  fits(row: number, filter: Filter, { maxLength }: Mask): boolean {
    const { table } = this;
    const length = table.length(row);
    if (filter.minTokens !== null && length < filter.minTokens) return false;
    if (filter.maxTokens !== null && length > filter.maxTokens) return false;
    if (filter.turns !== null && table.turns(row) !== filter.turns) return false;
    if (filter.label !== null && !table.hasLabel(row, normalizeAnswer(filter.label))) return false;
    return filter.problem === null || table.hasProblem(row, filter.problem, maxLength);
  }

  sorted(rows: Uint32Array, order: 'shortest' | 'longest'): Uint32Array {
    const sign = order === 'shortest' ? 1 : -1;
    return rows.slice().sort((a, b) => sign * (this.table.length(a) - this.table.length(b)) || a - b);
  }

  private answerOf(example: Example): string | undefined {
    if (example.kind === 'text') return undefined;
    const last = example.messages.at(-1);
    if (last?.role !== 'assistant' || last.content.length > longestLabel) return undefined;
    return normalizeAnswer(last.content);
  }

  /** From the shortest to the longest length met, without gaps. */
  private binList(): [number, number][] {
    const met = [...this.bins.keys()];
    if (met.length === 0) return [];
    const from = Math.min(...met);
    const list = Array.from({ length: Math.max(...met) - from + 1 }, (_, i): [number, number] => [
      binStart(from + i),
      this.bins.get(from + i) ?? 0,
    ]);
    // Short lengths have more bins than whole numbers.
    return list.filter(([start, count], i) => count > 0 || start !== list[i + 1]?.[0]);
  }

  private problems(
    { maxLength }: Mask,
    sums: { readonly truncated: number; readonly firstTruncated: readonly number[] },
  ): PreviewProblem[] {
    const counts = new Map(this.counts);
    counts.delete('truncated');
    if (sums.truncated > 0) counts.set('truncated', sums.truncated);
    const rank = { error: 0, warning: 1, info: 2 };
    return problemKinds
      .flatMap((kind): PreviewProblem[] => {
        const count = counts.get(kind) ?? 0;
        if (count === 0) return [];
        const first =
          kind === 'truncated'
            ? sums.firstTruncated.slice(0, shownPlaces).map((row) => ({
                row,
                line: 0,
                message: `${this.table.length(row) - maxLength} of ${this.table.length(row)} tokens are cut off`,
              }))
            : (this.firsts.get(kind) ?? []);
        return [{ kind, severity: problemSeverity(kind), message: problemTitles[kind], count, first: [...first] }];
      })
      .sort((a, b) => rank[a.severity] - rank[b.severity]);
  }
}

function characters(example: Example): number {
  return example.kind === 'text'
    ? example.text.length
    : example.messages.reduce((sum, { content }) => sum + content.length, 0);
}

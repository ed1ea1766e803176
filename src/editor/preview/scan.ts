/** One reading of a whole set: the figures so far, at any time, under any mask. */

import { normalizeAnswer } from '../../core/metrics.js';
import type { Checked, Figures, Filter, PreviewProblem } from '../../core/view/preview.js';
import { type ProblemKind, problemKinds, problemSeverity, problemTitles } from '../../core/view/preview-problems.js';
import type { CheckResult } from '../../data/view/check.js';
import type { Mask, ScanOptions } from './protocol.js';
import { binStart, type FactBlock, Fold, formatAt, labelAt, lengthBin, sourceOptions } from './source.js';
import { RowTable } from './table.js';
import type { Task } from './worker.js';

const shownPlaces = 5;
const mostLabels = 64;
const mostFields = 40;

export class Scan {
  readonly table = new RowTable();
  done = false;
  private readonly fold: Fold;
  private readonly counts = new Map<ProblemKind, number>();
  private readonly bins = new Map<number, number>();
  private checked: Checked | undefined;
  private labels: [string, number][] = [];
  private firsts = new Map<ProblemKind, PreviewProblem['first']>();

  constructor(
    private readonly options: ScanOptions,
    private readonly size: number,
  ) {
    const { path, mapping, evaluation } = options;
    const { fields } = sourceOptions(mapping);
    this.fold = new Fold({ path, evaluation, ...(fields === undefined ? {} : { fields }) }, (kind, row) => {
      this.table.mark(kind, row);
      this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
    });
  }

  /** Reads the evaluation sets, whose prompts are to be told. */
  async begin(task: Task): Promise<void> {
    await this.fold.readEvaluation({ row: (row) => task.beat(row), share: () => undefined });
  }

  /** What a look at every line's bytes has found, long before all records are read. */
  check(result: CheckResult): void {
    this.checked = {
      records: result.records,
      malformed: result.badCount,
      longest: result.longest.bytes,
      bytes: result.bytes,
      bins: binList(result.bins),
      fields: result.schema.slice(0, mostFields).map(({ path, types }) => ({
        name: path.slice(0, 200),
        types: Object.keys(types).join(', '),
        count: Object.values(types).reduce((sum, count) => sum + count, 0),
      })),
    };
  }

  add(block: FactBlock): void {
    const { table } = this;
    const hasTokens = this.options.model !== undefined;
    this.fold.add(block);
    for (let at = 0; at < block.count; at++) {
      const from = at === 0 ? 0 : (block.runEnds[at - 1] ?? 0);
      const good = formatAt(block, at) !== undefined;
      const length = hasTokens ? Math.max(0, block.tokens[at] ?? 0) : (block.characters[at] ?? 0);
      if (good) {
        const bin = lengthBin(length);
        this.bins.set(bin, (this.bins.get(bin) ?? 0) + 1);
      }
      const turns = good ? Math.max(1, block.turns[at] ?? 0) : 0;
      table.add({ length, turns, runs: block.runs.subarray(from, block.runEnds[at]), label: labelAt(block, at) });
    }
  }

  /** @param duplicateKeys lines with a key twice, which parsing cannot tell */
  finish(duplicateKeys: CheckResult['duplicateKeys']['rows'], task: Task): void {
    this.fold.addDuplicateKeys(duplicateKeys);
    const { labels, problems } = this.fold.finish(false, [], undefined, (row) => task.beat(row));
    this.labels = labels?.slice(0, mostLabels).map(({ label, count }): [string, number] => [label, count]) ?? [];
    for (const { kind, rows } of problems) {
      this.firsts.set(
        kind,
        rows.slice(0, shownPlaces).map(({ row, line, message }) => ({ row, line, message: message.slice(0, 300) })),
      );
    }
    this.done = true;
  }

  /** No more records come. What was found so far can be asked for. */
  end(): void {
    this.fold.close();
  }

  /** Nobody asks any more. */
  close(): void {
    this.fold.close();
    this.table.close();
  }

  figures(mask: Mask): Figures {
    const { table, fold } = this;
    const sums = table.sums(mask);
    const bins = new Float64Array(Math.max(0, ...this.bins.keys()) + 1);
    for (const [bin, count] of this.bins) bins[bin] = count;
    return {
      share: this.done ? 1 : Math.min(0.999, fold.bytes / Math.max(1, this.size)),
      done: this.done,
      hasTokens: this.options.model !== undefined,
      records: table.count,
      turns: fold.turns,
      tokens: sums.tokens,
      keptTokens: sums.kept,
      lossTokens: sums.loss,
      longest: sums.longest,
      truncated: sums.truncated,
      formats: Object.entries(fold.formats).sort(([, a], [, b]) => b - a),
      bins: binList(bins),
      labels: this.done ? this.labels : [],
      problems: this.problems(mask, sums),
      ...(this.checked === undefined ? {} : { checked: this.checked }),
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
    const lengths = Uint32Array.from(rows, (row) => this.table.length(row));
    const places = Uint32Array.from(rows.keys());
    return places.sort((a, b) => sign * ((lengths[a] ?? 0) - (lengths[b] ?? 0)) || a - b).map((at) => rows[at] ?? 0);
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

/** From the shortest to the longest length met, without gaps. */
function binList(bins: ArrayLike<number>): [number, number][] {
  const met = Array.from(bins).flatMap((count, bin) => (count > 0 ? [bin] : []));
  const [from] = met;
  if (from === undefined) return [];
  const list = Array.from({ length: (met.at(-1) ?? from) - from + 1 }, (_, i): [number, number] => [
    binStart(from + i),
    bins[from + i] ?? 0,
  ]);
  // Short lengths have more bins than whole numbers.
  return list.filter(([start, count], i) => count > 0 || start !== list[i + 1]?.[0]);
}

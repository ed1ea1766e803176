/** Which lines of a text are records, and what is found about them put on those lines. Knows nothing of VS Code. */

import { detectFormat } from '../../data/read/formats.js';
import type { Analysis, RowProblemKind, TokenRow } from '../../data/view/index.js';

const looked = 20;
const longest = 1 << 18;

/** Whether the first lines are records of a data set, and not JSON of another kind (logs, events, notebooks). */
export function looksLikeDataSet(lines: Iterable<string>): boolean {
  let records = 0;
  let known = 0;
  for (const line of lines) {
    if (line.trim() === '') continue;
    if (++records > looked) break;
    if (line.length > longest) continue;
    try {
      if (detectFormat(JSON.parse(line), undefined) !== undefined) known++;
    } catch {
      // A broken line is no sign either way.
    }
  }
  return known > 0 && known * 2 >= Math.min(records, looked);
}

export interface LineProblem {
  /** From 0. */
  readonly line: number;
  readonly severity: 'error' | 'warning' | 'information';
  readonly kind: RowProblemKind;
  readonly message: string;
  /** The earlier row that it repeats or contradicts, from 0. */
  readonly other?: number;
}

const mostShown = 2000;
const lesser: readonly RowProblemKind[] = ['near-duplicate', 'label-outlier', 'truncated'];

export function lineProblems({ problems }: Analysis): LineProblem[] {
  return problems
    .flatMap(({ kind, rows }) =>
      rows.map(({ line, message, other }): LineProblem => {
        const severity = kind === 'malformed' ? 'error' : lesser.includes(kind) ? 'information' : 'warning';
        return { line: line - 1, severity, kind, message, ...(other === undefined ? {} : { other }) };
      }),
    )
    .slice(0, mostShown);
}

/** The lines that are rows, from 0: all but blank ones. */
export function linesOfRows(count: number, lineText: (line: number) => string): number[] {
  const lines: number[] = [];
  for (let line = 0; line < count; line++) if (lineText(line).trim() !== '') lines.push(line);
  return lines;
}

const shownText = 600;

/** Counts of a record's tokens, and the text that is trained on. */
export function describeTokens(
  row: Extract<TokenRow, { tokens: unknown }>,
  maxLength: number,
): { counts: string; trained: string } {
  const { groups, ends, bytes } = row;
  let trained = 0;
  const parts: Buffer[] = [];
  for (let i = 1; i < Math.min(groups.length, maxLength); i++) {
    if (groups[i] !== 2) continue;
    trained++;
    parts.push(Buffer.from(bytes.subarray(ends[i - 1], ends[i])));
  }
  const cut = Math.max(0, groups.length - maxLength);
  const text = Buffer.concat(parts).toString('utf8');
  return {
    counts: `${groups.length} tokens, ${trained} trained on${cut > 0 ? `, ${cut} cut off by max_length ${maxLength}` : ''}`,
    trained: text.length > shownText ? `${text.slice(0, shownText)}…` : text,
  };
}

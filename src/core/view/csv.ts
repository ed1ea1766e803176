/** Curves as CSV (RFC 4180), one row a point: what spreadsheets and pandas read. */

import type { RunHistory } from '../history.js';
import { charts } from './charts.js';

export interface CsvRun {
  readonly name: string;
  readonly label: string;
  readonly history: RunHistory;
}

/** `set` is `train` for training points. Figures are exact; an empty cell was not measured. */
export function curvesCsv(runs: readonly CsvRun[]): string {
  const header = ['run', 'label', 'set', 'step', 'epoch', 'tokens', 'train_seconds', ...charts.map(({ id }) => id)];
  const lines = [header.join(',')];
  for (const { name, label, history } of runs) {
    const head = [csvCell(name), csvCell(label)];
    for (const event of history.train) {
      const place = [event.step, event.epoch, event.tokens, event.trainSeconds];
      lines.push([...head, 'train', ...place, ...charts.map(({ train }) => train?.(event) ?? '')].join(','));
    }
    for (const event of history.evals) {
      const figures = charts.map(({ evaluation }) => evaluation?.(event) ?? '');
      lines.push([...head, csvCell(event.set), event.step, event.epoch, '', '', ...figures].join(','));
    }
  }
  return `${lines.join('\r\n')}\r\n`;
}

export function csvCell(value: string): string {
  // A leading =, +, - or @ would be a formula to a spreadsheet.
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

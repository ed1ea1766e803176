/** The overview: figures, lengths, labels, and problems, each a click from its rows. */

import { BarController, BarElement, CategoryScale, Chart, LinearScale, Tooltip } from 'chart.js';
import type { PreviewOverview } from '../../src/core/view/preview.js';
import { visibleText } from '../../src/core/view/visible.js';
import { element, fill } from '../shared/dom.js';
import { mixed, readTheme } from '../shared/theme.js';

Chart.register(BarController, BarElement, CategoryScale, LinearScale, Tooltip);

export interface OverviewHost {
  filter(where: string): void;
  goTo(row: number): void;
  all(): void;
}

const shownRows = 5;

export class Overview {
  readonly element = element('div', { class: 'overview' });
  private chart: Chart | undefined;
  private labels: Chart | undefined;

  constructor(private readonly host: OverviewHost) {}

  show(overview: PreviewOverview): void {
    this.chart?.destroy();
    this.labels?.destroy();
    const { tokens, problems } = overview;
    const share =
      tokens === null || tokens.tokens === 0 ? '' : `${Math.round((1000 * tokens.lossTokens) / tokens.tokens) / 10} %`;
    const lengths = element('canvas', { role: 'img', 'aria-label': 'Lengths of records' });
    const balance = element('canvas', { role: 'img', 'aria-label': 'Label balance' });
    fill(
      this.element,
      overview.sampled
        ? element(
            'p',
            {},
            `Sampled: the first ${overview.records} records. `,
            element('button', { class: 'plain all', onclick: () => this.host.all() }, 'Look at all records'),
          )
        : null,
      element(
        'div',
        { class: 'facts' },
        ...[
          [String(overview.records), 'records'],
          [String(overview.usable), 'usable'],
          [String(overview.turns), 'messages'],
          [tokens === null ? '–' : String(tokens.tokens), 'tokens'],
          [share === '' ? '–' : share, 'of tokens trained on'],
          [tokens === null ? '–' : String(tokens.truncatedRecords), 'cut off by max_length'],
        ].map(([value, name]) => element('div', {}, element('b', {}, value), name)),
      ),
      element('p', { class: 'muted' }, overview.formats),
      element('h2', {}, tokens === null ? 'Characters of a record' : 'Tokens of a record'),
      element('div', { class: 'chart lengths' }, lengths),
      overview.labels.length > 0 ? element('h2', {}, 'Labels') : null,
      overview.labels.length > 0 ? element('div', { class: 'chart labels' }, balance) : null,
      element('h2', {}, 'Problems'),
      problems.length === 0 ? element('p', { class: 'muted' }, 'None found.') : null,
      ...problems.map(({ kind, count, rows }) =>
        element(
          'div',
          { class: 'problem' },
          element(
            'button',
            { class: 'plain', 'data-problem': kind, onclick: () => this.host.filter(`problem = ${kind}`) },
            `${kind}: ${count}`,
          ),
          element(
            'ul',
            {},
            ...rows
              .slice(0, shownRows)
              .map(({ row, message }) =>
                element(
                  'li',
                  {},
                  element('button', { class: 'plain', onclick: () => this.host.goTo(row) }, `row ${row + 1}`),
                  ` ${visibleText(message)}`,
                ),
              ),
          ),
        ),
      ),
    );
    this.chart = this.bars(
      lengths,
      overview.bins.map(({ from, to, count }) => ({
        name: from === to ? String(from) : `${from}–${to}`,
        count,
        cut: tokens !== null && from > tokens.maxLength,
        where: `${tokens === null ? 'length' : 'tokens'} >= ${from} and ${tokens === null ? 'length' : 'tokens'} <= ${to}`,
      })),
    );
    if (overview.labels.length > 0) {
      this.labels = this.bars(
        balance,
        overview.labels.map(({ label, count }) => ({
          name: visibleText(label),
          count,
          cut: false,
          where: `label = ${JSON.stringify(label)}`,
        })),
      );
    }
  }

  private bars(
    canvas: HTMLCanvasElement,
    bars: readonly { name: string; count: number; cut: boolean; where: string }[],
  ): Chart {
    const theme = readTheme();
    const color = theme.series[0] ?? theme.accent;
    const red = theme.series[4] ?? theme.accent;
    return new Chart(canvas, {
      type: 'bar',
      data: {
        labels: bars.map(({ name }) => name),
        datasets: [
          {
            data: bars.map(({ count }) => count),
            backgroundColor: bars.map(({ cut }) => mixed(cut ? red : color, 70)),
            categoryPercentage: 1,
            barPercentage: 0.92,
          },
        ],
      },
      options: {
        animation: false,
        maintainAspectRatio: false,
        onClick: (_event, [hit]) => {
          const bar = hit === undefined ? undefined : bars[hit.index];
          if (bar !== undefined) this.host.filter(bar.where);
        },
        plugins: { legend: { display: false } },
        scales: {
          x: { ticks: { color: theme.muted, maxRotation: 0, autoSkip: true }, grid: { display: false } },
          y: { ticks: { color: theme.muted, precision: 0 }, grid: { color: theme.grid }, beginAtZero: true },
        },
      },
    });
  }
}

/** Lengths of the records, with the cut of `max_length`. A click on a bar shows its records. */

import { BarController, BarElement, CategoryScale, Chart, LinearScale, type Plugin, Tooltip } from 'chart.js';
import type { Figures } from '../../src/core/view/preview.js';
import { element } from '../shared/dom.js';
import { formatNumber } from '../shared/text.js';
import { mixed, prefersReducedMotion, readTheme, type Theme } from '../shared/theme.js';

Chart.register(BarController, BarElement, CategoryScale, LinearScale, Tooltip);

export class Histogram {
  readonly root: HTMLElement;
  private readonly canvas = element('canvas', { role: 'img' });
  private chart: Chart<'bar', (number | null)[], string> | undefined;
  private bins: Figures['bins'] = [];
  private maxLength = 0;
  private theme: Theme = readTheme();

  /** @param choose told the least and the largest length of a bin that was clicked */
  constructor(private readonly choose?: (from: number, to: number | null) => void) {
    this.root = element('div', { class: 'histogram' }, this.canvas);
  }

  retheme(theme: Theme): void {
    this.theme = theme;
    this.chart?.destroy();
    this.chart = undefined;
    this.draw();
  }

  /** @param maxLength where lengths are cut off; Infinity where they are not of tokens */
  show(bins: Figures['bins'], unit: 'tokens' | 'characters' | 'bytes', maxLength: number): void {
    const same = JSON.stringify(bins) === JSON.stringify(this.bins);
    this.bins = bins;
    this.maxLength = maxLength;
    this.canvas.setAttribute('aria-label', `Records by their length in ${unit}`);
    if (same && this.chart !== undefined) this.color();
    else this.draw();
  }

  private draw(): void {
    if (this.bins.length === 0) return;
    const labels = this.bins.map(([start]) => formatNumber(start));
    // Nothing, not even the least bar, where there is nothing.
    const data = this.bins.map(([, count]) => (count === 0 ? null : count));
    if (this.chart === undefined) this.chart = this.make(labels, data);
    else {
      this.chart.data.labels = labels;
      const [set] = this.chart.data.datasets;
      if (set !== undefined) set.data = data;
    }
    this.color();
  }

  private color(): void {
    const [set] = this.chart?.data.datasets ?? [];
    if (set === undefined) return;
    const { series, muted } = this.theme;
    const accent = series[0] ?? muted;
    set.backgroundColor = this.bins.map(([start]) => (start > this.maxLength ? mixed(muted, 45) : accent));
    this.chart?.update('none');
  }

  private make(labels: string[], data: (number | null)[]): Chart<'bar', (number | null)[], string> {
    const { muted, grid, foreground, fontFamily, fontSize } = this.theme;
    const font = { family: fontFamily, size: Math.max(10, fontSize - 2) };
    return new Chart<'bar', (number | null)[], string>(this.canvas, {
      type: 'bar',
      data: { labels, datasets: [{ data, categoryPercentage: 1, barPercentage: 0.92, minBarLength: 2 }] },
      plugins: [this.cutLine()],
      options: {
        animation: prefersReducedMotion() ? false : { duration: 150 },
        responsive: true,
        maintainAspectRatio: false,
        layout: { padding: { top: 16 } },
        onClick: (_event, [bar]) => {
          if (bar !== undefined) this.choose?.(this.bins[bar.index]?.[0] ?? 0, this.endOf(bar.index));
        },
        onHover: (_event, bars) => {
          this.canvas.style.cursor = bars.length > 0 && this.choose !== undefined ? 'pointer' : 'default';
        },
        interaction: { mode: 'index', intersect: false },
        scales: {
          x: { ticks: { color: muted, font, maxRotation: 0, autoSkipPadding: 14 }, grid: { display: false } },
          y: { ticks: { color: muted, font, maxTicksLimit: 4 }, grid: { color: grid }, border: { display: false } },
        },
        plugins: {
          tooltip: {
            displayColors: false,
            callbacks: {
              title: ([item]) => {
                const index = item?.dataIndex ?? 0;
                const end = this.endOf(index);
                const start = this.bins[index]?.[0] ?? 0;
                return end === null || end === start
                  ? formatNumber(start)
                  : `${formatNumber(start)} to ${formatNumber(end)}`;
              },
              label: (item) => `${formatNumber(item.parsed.y ?? 0)} records`,
            },
            titleColor: foreground,
            bodyColor: foreground,
            backgroundColor: this.theme.background,
            borderColor: muted,
            borderWidth: 1,
          },
        },
      },
    });
  }

  private endOf(index: number): number | null {
    const next = this.bins[index + 1]?.[0];
    return next === undefined ? null : next - 1;
  }

  /** Where `max_length` lies between the bars. */
  private cutLine(): Plugin<'bar'> {
    return {
      id: 'cut',
      afterDatasetsDraw: (chart) => {
        const { ctx, chartArea, scales } = chart;
        const x = scales.x;
        if (x === undefined || !Number.isFinite(this.maxLength)) return;
        const after = this.bins.findIndex(([start]) => start > this.maxLength);
        const last = this.bins.length - 1;
        const width = last > 0 ? x.getPixelForValue(1) - x.getPixelForValue(0) : chartArea.width;
        const at = after < 0 ? chartArea.right - 1 : x.getPixelForValue(after) - width / 2;
        ctx.save();
        ctx.strokeStyle = this.theme.series[1] ?? this.theme.foreground;
        ctx.setLineDash([4, 3]);
        ctx.lineWidth = 1.5;
        ctx.beginPath();
        ctx.moveTo(at, chartArea.top - 4);
        ctx.lineTo(at, chartArea.bottom);
        ctx.stroke();
        ctx.fillStyle = this.theme.foreground;
        ctx.font = `${Math.max(10, this.theme.fontSize - 2)}px ${this.theme.fontFamily}`;
        const text = `max_length ${formatNumber(this.maxLength)}`;
        const half = ctx.measureText(text).width / 2;
        ctx.textAlign = 'center';
        ctx.fillText(text, Math.min(Math.max(at, chartArea.left + half), chartArea.right - half), chartArea.top - 7);
        ctx.restore();
      },
    };
  }
}

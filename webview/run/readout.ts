/** The box beside the pointer: the values of all curves at the cursor. */

import { type ChartDefinition, formatFigure } from '../../src/core/view/charts.js';
import { element, fill } from '../shared/dom.js';
import { sayX } from './axes.js';
import { trainSet } from './curves.js';
import type { Reading } from './guides.js';
import { swatch } from './legend.js';
import type { View } from './view.js';

const mostRows = 12;

export class Readout {
  readonly box = element('div', { class: 'readout', hidden: true, 'aria-hidden': 'true' });

  constructor(private readonly view: View) {}

  show(chart: ChartDefinition, readings: readonly Reading[], at: number, pointer: { x: number; y: number }): void {
    const { box, view } = this;
    if (readings.length === 0) {
      this.hide();
      return;
    }
    const rows = sorted(readings, chart);
    const emphasized = rows.filter(({ curve }) => curve.run.key === view.emphasis);
    const seen = [...new Set([...emphasized, ...rows])].slice(0, mostRows);
    const place = view.runs.length === 1 ? seen.find(({ raw }) => raw !== undefined) : undefined;
    fill(
      box,
      element('div', { class: 'readout-place' }, sayX(place?.x ?? at, view.state.xAxis)),
      element(
        'div',
        { class: 'readout-rows' },
        ...seen.flatMap(({ curve, value, raw }) => [
          swatch(curve.color, curve.set === trainSet ? 'line' : curve.marker, curve.dash),
          element('span', { class: 'readout-name' }, curve.label),
          element('span', { class: 'readout-value' }, formatFigure(value, chart.unit)),
          element('span', { class: 'readout-raw' }, raw === undefined ? '' : formatFigure(raw, chart.unit)),
        ]),
      ),
      rows.length > seen.length
        ? element('div', { class: 'muted readout-more' }, `and ${rows.length - seen.length} more`)
        : null,
    );
    box.hidden = false;
    const { width, height } = box.getBoundingClientRect();
    const left = pointer.x + 16 + width > window.innerWidth ? pointer.x - 16 - width : pointer.x + 16;
    box.style.left = `${Math.max(4, left)}px`;
    box.style.top = `${Math.max(4, Math.min(pointer.y + 12, window.innerHeight - height - 4))}px`;
  }

  hide(): void {
    this.box.hidden = true;
  }
}

/** The best on top where there is a best; else as drawn, from top to bottom. */
export function sorted(readings: readonly Reading[], { better }: ChartDefinition): Reading[] {
  const sign = better === 'low' ? 1 : -1;
  return [...readings].sort((a, b) => sign * (a.value - b.value));
}

/** For screen readers. */
export function sayReadings(chart: ChartDefinition, readings: readonly Reading[]): string {
  return sorted(readings, chart)
    .slice(0, 6)
    .map(({ curve, value }) => `${curve.label} ${formatFigure(value, chart.unit)}`)
    .join(', ');
}

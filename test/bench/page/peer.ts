/** The same data in chart.js as its guide to speed has it (no animation, no parsing, no point marks), but without decimation. */

import { Chart, LinearScale, LineController, LineElement, PointElement } from 'chart.js';
import { PointColumns } from '../../../src/core/view/columns.js';
import { type BenchRun, makeRuns } from './data.js';
import { countFrames, painted } from './frames.js';

Chart.register(LineController, LineElement, PointElement, LinearScale);

let runs: BenchRun[] = [];
let chart: Chart<'line', { x: number; y: number }[]> | undefined;
let whole = { from: 0, to: 1 };
let span = whole;
let asked = false;

/** The visible part of the x axis. */
function show(from: number, to: number): void {
  if (chart === undefined) return;
  chart.options.scales = { x: { type: 'linear', min: from, max: to }, y: { type: 'linear' } };
  chart.update('none');
}

const peer = {
  frames: countFrames(),
  prepare(count: number, points: number): void {
    runs = makeRuns(count, points);
    whole = { from: 0, to: points };
    span = whole;
  },
  async arrive(): Promise<number> {
    const canvas = document.querySelector('canvas');
    if (canvas === null) throw new Error('the page has no canvas');
    const began = performance.now();
    const datasets = runs.map(({ info, points }) => {
      const columns = new PointColumns();
      columns.put(0, points);
      const [x, y] = [columns.column('step'), columns.column('loss')];
      const data = Array.from({ length: columns.count }, (_, i) => ({ x: x[i] ?? 0, y: y[i] ?? 0 }));
      return { label: info.label, data, borderWidth: 1, pointRadius: 0 };
    });
    chart = new Chart(canvas, {
      type: 'line',
      data: { datasets },
      options: {
        animation: false,
        parsing: false,
        normalized: true,
        maintainAspectRatio: false,
        events: [],
        scales: { x: { type: 'linear', min: whole.from, max: whole.to }, y: { type: 'linear' } },
      },
    });
    return (await painted()) - began;
  },
};

/** Zooms and pans as the run panel does: one drawing a frame, however many events came. */
function move(width: number, from: number): void {
  const inside = Math.min(whole.to, Math.max(10, width));
  const left = Math.max(0, Math.min(from, whole.to - inside));
  span = { from: left, to: left + inside };
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    show(span.from, span.to);
  });
}

window.addEventListener(
  'wheel',
  (event) => {
    event.preventDefault();
    const width = span.to - span.from;
    if (event.ctrlKey) {
      const next = width * Math.exp(event.deltaY * 0.003);
      move(next, (span.from + span.to - next) / 2);
    } else move(width, span.from + (width * event.deltaX) / window.innerWidth);
  },
  { passive: false },
);

declare global {
  interface Window {
    peer: typeof peer;
  }
}
window.peer = peer;

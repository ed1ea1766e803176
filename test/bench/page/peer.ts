/**
 * The same data in chart.js without decimation: as people use it, which is as it comes, or (`?tuned`) with what its guide to
 * speed adds: no animation, no parsing, no marks of points, no events.
 */

import { animator, Chart, type ChartOptions } from 'chart.js/auto';
import { PointColumns } from '../../../src/core/view/columns.js';
import { makePoints, makeRuns } from './data.js';
import { countFrames, painted } from './frames.js';

type Point = { x: number; y: number };
type Line = Chart<'line', Point[]>;

const tuned: ChartOptions<'line'> = {
  ...{ animation: false, parsing: false, normalized: true, events: [] },
  plugins: { legend: { display: false }, tooltip: { enabled: false } },
  elements: { line: { borderWidth: 1 }, point: { radius: 0 } },
};
const options: ChartOptions<'line'> = {
  ...(new URLSearchParams(location.search).has('tuned') ? tuned : {}),
  maintainAspectRatio: false,
  scales: { x: { type: 'linear' } },
};

let lines: { label: string; data: Point[] }[] = [];
let chart: Line | undefined;
let whole = { from: 0, to: 1 };
let span = whole;
let asked = false;

function pointsOf(buffer: ArrayBuffer): Point[] {
  const columns = new PointColumns();
  columns.put(0, buffer);
  const [x, y] = [columns.column('step'), columns.column('loss')];
  return Array.from({ length: columns.count }, (_, i) => ({ x: x[i] ?? 0, y: y[i] ?? 0 }));
}

const peer = {
  frames: countFrames(),
  first: Number.NaN,
  /** Makes the data as chart.js wants it, which its times so do not include. */
  prepare(count: number, points: number): void {
    lines = makeRuns(count, points).map(({ info, points: packed }) => ({ label: info.label, data: pointsOf(packed) }));
    whole = { from: 0, to: points };
    span = whole;
  },
  /** @returns milliseconds until the chart's first frame is on the screen, animated or not */
  async arrive(): Promise<number> {
    const canvas = document.querySelector('canvas');
    if (canvas === null) throw new Error('the page has no canvas');
    const began = performance.now();
    const made: Line = new Chart(canvas, { type: 'line', data: { datasets: lines }, options });
    peer.first = (await painted()) - began;
    chart = made;
    while (animator.running(made)) await painted();
    return peer.first;
  },
  /** Gives every run new points. Resolves when they are drawn. */
  async append(from: number, each: number): Promise<void> {
    for (const [run, { data }] of lines.entries()) data.push(...pointsOf(makePoints(run, from, each)));
    chart?.update();
    await painted();
  },
};

/** The visible part of the x axis, as the zoom plugin of chart.js sets it. */
function show(): void {
  const x = chart?.options.scales?.x;
  if (chart === undefined || x === undefined) return;
  x.min = span.from;
  x.max = span.to;
  chart.update('none');
}

/** Zooms and pans as the run panel does: one drawing a frame, however many events came. */
function move(width: number, from: number): void {
  const inside = Math.min(whole.to, Math.max(10, width));
  const left = Math.max(0, Math.min(from, whole.to - inside));
  span = { from: left, to: left + inside };
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    show();
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

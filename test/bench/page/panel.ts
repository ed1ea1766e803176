/** Stands in for VS Code around the run panel's page: takes its messages and sends it runs as the extension does. */

import type { FromPanel, ToPanel } from '../../../src/core/view/run-panel.js';
import { type BenchRun, makeInfo, makePoints, makeRuns } from './data.js';
import { countFrames, painted, paintedWhen } from './frames.js';

const sent: FromPanel[] = [];
let kept: unknown;
let runs: BenchRun[] = [];

const post = (message: ToPanel, transfer: Transferable[] = []): void => window.postMessage(message, '*', transfer);

/** How many of the charts in the window have been drawn: a drawn one tells screen readers what it shows. */
function drawn(): { some: boolean; all: boolean } {
  const frames = [...document.querySelectorAll('.chart-frame')].filter((frame) => {
    const { top, bottom } = frame.getBoundingClientRect();
    return bottom > 0 && top < window.innerHeight;
  });
  const ready = frames.filter((frame) => frame.hasAttribute('aria-label')).length;
  return { some: ready > 0, all: ready > 0 && ready === frames.length };
}

/** New points of every run. */
function send(from: number, each: number): void {
  for (const [run, { info }] of runs.entries()) {
    const points = makePoints(run, from, each);
    post({ type: 'points', key: info.key, from, points }, [points]);
  }
}

const bench = {
  sent,
  frames: countFrames(),
  prepare(count: number, points: number, live: boolean): void {
    runs = makeRuns(count, points, live);
  },
  /** Milliseconds until the first chart was on the screen. */
  first: Number.NaN,
  /** Sends all runs at once. @returns milliseconds until all charts in the window are on the screen */
  async arrive(): Promise<number> {
    // Logs of that length take seconds to read, in which the page has nothing to do but to warm up.
    await new Promise((done) => setTimeout(done, 1000));
    const began = performance.now();
    post({ type: 'runs', runs: runs.map(({ info }) => info), missing: [] });
    for (const { info, points } of runs) post({ type: 'points', key: info.key, from: 0, points }, [points]);
    bench.first = (await paintedWhen(() => drawn().some)) - began;
    return drawn().all ? bench.first : (await paintedWhen(() => drawn().all)) - began;
  },
  charts: (): number => [...document.querySelectorAll('.chart-frame[aria-label]')].length,
  /** Gives every run new points. Resolves when they are drawn. */
  async append(from: number, each: number): Promise<void> {
    send(from, each);
    // Messages are tasks of their own, before or behind the next frame.
    await painted();
    await painted();
  },
  /** Every run has new points 20 times a second and says how far it is 4 times, as the extension does, for as long. */
  async live(seconds: number, from: number, each: number): Promise<number> {
    let at = from;
    const until = performance.now() + seconds * 1000;
    for (let round = 0; performance.now() < until; round++) {
      if (round % 5 === 0) {
        for (let run = 0; run < runs.length; run++) post({ type: 'run', run: makeInfo(run, at + each, true) });
      }
      send(at, each);
      at += each;
      await new Promise((done) => setTimeout(done, 50));
    }
    return at;
  },
};

declare global {
  interface Window {
    acquireVsCodeApi: () => unknown;
    bench: typeof bench;
  }
}

window.bench = bench;
window.acquireVsCodeApi = () => ({
  postMessage: (message: FromPanel) => sent.push(message),
  getState: () => kept,
  setState: (state: unknown) => {
    kept = state;
  },
});
const start = new URLSearchParams(location.search).get('state');
if (start !== null) kept = JSON.parse(start);

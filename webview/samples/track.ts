/**
 * The slider over checkpoints and runs: a line for each run, with a mark for each of its evaluations at its step. Pointer, left and right
 * choose an evaluation; up and down another run.
 */

import type { Track } from '../../src/core/view/samples.js';
import { visibleText } from '../../src/core/view/visible.js';
import { element, fill, keepingFocus } from '../shared/dom.js';
import { formatNumber } from '../shared/text.js';
import { markPath, svgElement } from './marks.js';
import { figure, labelOf, type View, verdictNames } from './view.js';

const lineHeight = 24;
/** Room at both ends of a line, in pixels: half a mark, with its ring. */
const inset = 10;

interface Span {
  readonly from: number;
  readonly to: number;
}

export class TrackView {
  readonly root = element('div', { class: 'tracks', role: 'group', 'aria-label': 'Evaluations' });

  /** The run along whose line the pointer is dragged. */
  private dragged: string | undefined;

  constructor(private readonly view: View) {
    const { root } = this;
    // On the whole, which stays: lines are made anew while they are dragged along.
    root.addEventListener('pointerdown', (event) => {
      const line = event.target instanceof Element ? event.target.closest<HTMLElement>('.track-slider') : null;
      if (line === null || event.button !== 0) return;
      this.dragged = line.dataset.run;
      root.setPointerCapture(event.pointerId);
      line.focus();
      this.pointed(event.clientX);
      event.preventDefault();
    });
    root.addEventListener('pointermove', ({ clientX }) => this.pointed(clientX));
    for (const end of ['pointerup', 'pointercancel'] as const) {
      root.addEventListener(end, () => {
        this.dragged = undefined;
      });
    }
  }

  private get tracks(): Track[] {
    return this.view.detail?.tracks.filter(({ points }) => points.length > 0) ?? [];
  }

  private get span(): Span {
    const steps = this.tracks.flatMap(({ points }) => points.map(({ step }) => step));
    return { from: Math.min(...steps), to: Math.max(...steps) };
  }

  render(): void {
    const { tracks, span } = this;
    const scale = element(
      'div',
      { class: 'track-scale', 'aria-hidden': 'true' },
      element('span', {}, `step ${formatNumber(span.from)}`),
      element('span', {}, formatNumber(span.to)),
    );
    keepingFocus(this.root, () =>
      fill(
        this.root,
        element(
          'div',
          { class: tracks.length < 2 ? 'track-lines' : 'track-lines many' },
          ...tracks.map((track, i) => this.line(track, span, tracks, i)),
          span.from < span.to ? scale : null,
        ),
      ),
    );
  }

  private line(track: Track, span: Span, tracks: readonly Track[], line: number): HTMLElement {
    const { view } = this;
    const { shown } = view.detail ?? {};
    const { points, run } = track;
    const active = shown?.run === run;
    const at = active ? points.findIndex(({ step }) => step === shown.step) : points.length - 1;
    const current = points[at];
    const label = labelOf(view, run);
    const slider = element(
      'div',
      {
        class: 'track-slider',
        role: 'slider',
        tabindex: 0,
        'data-focus': `track:${run}`,
        'data-run': run,
        'aria-label': `Evaluation of ${label}`,
        'aria-orientation': 'horizontal',
        'aria-valuemin': points[0]?.step ?? 0,
        'aria-valuemax': points.at(-1)?.step ?? 0,
        'aria-valuenow': current?.step ?? 0,
        'aria-valuetext': current === undefined ? '' : describe(current),
      },
      this.drawing(track, span, active ? at : -1),
    );
    slider.addEventListener('keydown', (event) => this.key(event, tracks, line, at));
    return element(
      'div',
      { class: `track${active ? ' active' : ''}` },
      // One line alone is that of the title.
      tracks.length < 2 ? null : element('span', { class: 'track-label', title: label }, visibleText(label)),
      slider,
    );
  }

  private drawing({ points }: Track, span: Span, chosen: number): HTMLElement {
    const middle = lineHeight / 2;
    const svg = svgElement('svg', { class: 'track-line', height: lineHeight, 'aria-hidden': 'true' });
    svg.append(svgElement('line', { class: 'rail', x1: 0, x2: '100%', y1: middle, y2: middle }));
    for (const [i, point] of points.entries()) {
      const share = span.to === span.from ? 0.5 : (point.step - span.from) / (span.to - span.from);
      // Nested, so that a place in percent and a drawing in pixels go together.
      const place = svgElement('svg', { class: 'point', x: `${share * 100}%`, y: middle, overflow: 'visible' });
      const title = svgElement('title');
      title.textContent = describe(point);
      const mark = markPath(point.verdict);
      if (point.verdict === -1 && point.answered) mark.classList.add('answered');
      place.append(title, svgElement('circle', { class: i === chosen ? 'ring' : 'target', r: 9 }), mark);
      svg.append(place);
    }
    return element('div', { class: 'track-inner' }, svg);
  }

  private pointed(x: number): void {
    const track = this.tracks.find(({ run }) => run === this.dragged);
    if (track === undefined) return;
    const line = [...this.root.querySelectorAll<HTMLElement>('.track-slider')].find(
      (one) => one.dataset.run === track.run,
    );
    if (line === undefined) return;
    const { span } = this;
    const box = line.getBoundingClientRect();
    const share = (x - box.left - inset) / Math.max(1, box.width - 2 * inset);
    const step = nearestStep(track.points, span.from + share * (span.to - span.from));
    if (step !== undefined) this.show(track.run, step, track.points);
  }

  private key(event: KeyboardEvent, tracks: readonly Track[], line: number, at: number): void {
    const track = tracks[line];
    if (track === undefined) return;
    const { points } = track;
    const targets: Readonly<Record<string, number>> = {
      ArrowLeft: Math.max(0, at - 1),
      ArrowRight: Math.min(points.length - 1, at + 1),
      Home: 0,
      End: points.length - 1,
    };
    const target = targets[event.key];
    const point = target === undefined ? undefined : points[target];
    if (point !== undefined) this.show(track.run, point.step, points);
    else if (event.key === 'ArrowUp' || event.key === 'ArrowDown') {
      const other = line + (event.key === 'ArrowDown' ? 1 : -1);
      const next = tracks[other];
      if (next === undefined) return;
      this.root.querySelectorAll<HTMLElement>('.track-slider')[other]?.focus();
      const step = nearestStep(next.points, points[at]?.step ?? 0);
      if (step !== undefined) this.show(next.run, step, next.points);
    } else return;
    event.preventDefault();
  }

  private show(run: string, step: number, points: Track['points']): void {
    const { shown } = this.view.detail ?? {};
    if (shown?.run === run && shown.step === step) return;
    // At the end it stays at the end, whatever comes.
    this.view.change({ shown: run, step: step === points.at(-1)?.step ? null : step });
  }
}

function nearestStep(points: Track['points'], step: number): number | undefined {
  let best: number | undefined;
  for (const point of points) {
    if (best === undefined || Math.abs(point.step - step) < Math.abs(best - step)) best = point.step;
  }
  return best;
}

function describe({ step, verdict, loss, answered }: Track['points'][number]): string {
  return [
    `step ${formatNumber(step)}`,
    answered ? (verdict === -1 ? 'answered' : verdictNames[verdict]) : 'not asked',
    ...(loss === null ? [] : [`loss ${figure(loss)}`]),
  ].join(', ');
}

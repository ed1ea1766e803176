/** One chart with its heading: chart.js draws axes and curves, a second canvas above it the cursor and the selection. */

import { type ChartDefinition, formatFigure, unitName } from '../../src/core/view/charts.js';
import { bestOf } from '../../src/core/view/panel-runs.js';
import { element, fill } from '../shared/dom.js';
import { icon } from '../shared/icons.js';
import { formatNumber } from '../shared/text.js';
import { mixed } from '../shared/theme.js';
import { axisTitles, formatTick, formatX, sayX } from './axes.js';
import { type Curve, curvesOf, type Looks, trainSet } from './curves.js';
import type { Drawable, Frames } from './frames.js';
import { drawBest, drawCheckpoints, drawCursor, drawEpochs, epochMarks, type Reading, readCurves } from './guides.js';
import { CurvePlot } from './plot.js';
import { watchPointer } from './pointer.js';
import { Raster } from './raster.js';
import { sayReadings } from './readout.js';
import {
  type Area,
  Chart,
  type ChartOptions,
  type Plot,
  type Plugin,
  type Projection,
  projectionOf,
} from './trace-controller.js';
import { nearPixels, toggled, type View } from './view.js';

const nothing: Plot = { extent: () => undefined, draw: () => undefined };

export class ChartCard implements Drawable {
  readonly root: HTMLElement;
  private readonly canvas = element('canvas', { 'aria-hidden': 'true' });
  private readonly overlay = element('canvas', { class: 'overlay', width: 0, height: 0, 'aria-hidden': 'true' });
  private readonly frame: HTMLElement;
  private readonly callout = element('p', { class: 'callout' });
  private readonly logButton: HTMLButtonElement;
  private readonly enlargeButton: HTMLButtonElement;
  private chart: Chart<'trace'> | undefined;
  private curves: readonly Curve[] = [];
  private plot: CurvePlot | undefined;
  private readonly raster = new Raster();
  /** Those of the last drawing. They are made anew whenever anything but the visible part of the axis is another. */
  private looks: Looks | undefined;
  private enlarged: boolean | undefined;
  /** Its place in pixels, as it was when the frame began: reading it between two drawings would lay out the page anew. */
  private size: { readonly width: number; readonly height: number } | undefined;
  /** Pixels between which the pointer selects. */
  private selection: { from: number; to: number } | null = null;
  private readonly observers: readonly (IntersectionObserver | ResizeObserver)[];

  constructor(
    readonly definition: ChartDefinition,
    private readonly view: View,
    frames: Frames,
    private readonly onPicture: (card: ChartCard) => void,
  ) {
    const { title, id, about, unit } = definition;
    this.logButton = this.button('Log', 'Logarithmic scale', () =>
      view.change({ logCharts: toggled(view.state.logCharts, id) }),
    );
    this.enlargeButton = this.button(icon('enlarge'), `Enlarge ${title}`, () =>
      view.change({ enlarged: view.state.enlarged === id ? null : id }),
    );
    this.frame = element(
      'div',
      {
        class: 'chart-frame',
        tabindex: 0,
        role: 'application',
        'aria-roledescription': 'chart',
        'aria-describedby': 'chart-keys',
        'data-chart': id,
      },
      element('div', { class: 'chart-canvas' }, this.canvas),
      this.overlay,
    );
    this.root = element(
      'section',
      { class: 'card', 'aria-label': title, 'data-chart-card': id },
      element(
        'header',
        {},
        element(
          'h3',
          { title: about },
          title,
          unitName(unit) === '' ? null : element('span', { class: 'unit' }, ` ${unitName(unit)}`),
        ),
        this.callout,
        element(
          'div',
          { class: 'card-actions' },
          this.logButton,
          this.button(icon('image'), `Export ${title} as PNG`, () => this.onPicture(this)),
          this.enlargeButton,
        ),
      ),
      this.frame,
    );
    watchPointer(this.frame, this, view);
    this.observers = [
      new IntersectionObserver(() => frames.ask(), { rootMargin: `${nearPixels}px` }),
      new ResizeObserver(() => {
        this.size = undefined;
        if (!this.fits()) frames.request([this]);
      }),
    ];
    for (const observer of this.observers) observer.observe(this.frame);
  }

  urgency(): number {
    const { top, bottom, height } = this.root.getBoundingClientRect();
    this.size = undefined;
    if (height === 0 || bottom < -nearPixels || top > window.innerHeight + nearPixels) return Infinity;
    this.place();
    return this.view.cursor?.chart === this.definition.id ? -1 : Math.max(0, top);
  }

  blank(): boolean {
    return this.chart === undefined;
  }

  dispose(): void {
    for (const observer of this.observers) observer.disconnect();
    this.chart?.destroy();
    this.root.remove();
  }

  /** Draws everything from the state. */
  draw(): void {
    const { view } = this;
    const { span, looks } = view;
    const changed = looks !== this.looks;
    this.looks = looks;
    if (changed) this.takeCurves();
    if (this.chart === undefined) this.chart = this.makeChart();
    else {
      const { chart } = this;
      if (changed) chart.options.scales = this.scales();
      const x = chart.options.scales?.x;
      if (x !== undefined) [x.min, x.max] = [span.from, span.to];
      if (this.fits()) chart.update('none');
      else chart.resize(this.place().width, this.place().height);
    }
    if (changed) this.describe();
    this.drawOverlay();
  }

  finish(hasTime: () => boolean): boolean {
    return this.plot?.complete(hasTime) ?? true;
  }

  private takeCurves(): void {
    const { view, definition } = this;
    const { state, theme } = view;
    this.curves = curvesOf(definition, view.looks, state);
    this.plot = new CurvePlot({
      chart: definition,
      curves: this.curves,
      state,
      log: state.logCharts.includes(definition.id),
      raster: this.raster,
      background: theme.background,
      contrast: theme.kind.startsWith('high-contrast'),
      span: () => view.span,
      emphasis: () => view.emphasis,
    });
    this.plot.refresh();
  }

  /** The axes, from the state. */
  private scales(): NonNullable<ChartOptions<'trace'>['scales']> {
    const { view, definition } = this;
    const { state, theme, span } = view;
    const grid = { color: theme.grid, tickColor: 'transparent', drawTicks: false };
    const font = { family: theme.fontFamily, size: Math.round(theme.fontSize * 0.82) };
    const shared = { grid, border: { display: false } };
    return {
      x: {
        ...shared,
        type: 'linear',
        min: span.from,
        max: span.to,
        grid: { ...grid, display: false },
        border: { display: true, color: mixed(theme.foreground, 40) },
        ticks: {
          font,
          color: theme.muted,
          padding: 5,
          maxRotation: 0,
          autoSkipPadding: 18,
          includeBounds: false,
          callback: (value) => formatX(Number(value), state.xAxis),
        },
      },
      y: {
        ...shared,
        type: state.logCharts.includes(definition.id) ? 'logarithmic' : 'linear',
        // Charts in a column begin at the same pixel, and numbers that change their length move nothing.
        afterFit: (scale) => {
          scale.width = 52;
        },
        ticks: {
          font,
          color: theme.muted,
          padding: 6,
          maxTicksLimit: state.enlarged === definition.id ? 9 : 5,
          autoSkip: true,
          callback: (value) => formatTick(Number(value), definition),
        },
      },
    };
  }

  /** The cursor, above the curves. */
  drawOverlay(): Reading[] {
    const { view, overlay, chart } = this;
    const { theme, cursor } = view;
    // It has no size before it is needed.
    if (overlay.width === 0 && cursor === null && this.selection === null) return [];
    const projection = this.projection();
    if (chart === undefined || projection === undefined) return [];
    const ratio = window.devicePixelRatio;
    const [width, height] = [Math.round(chart.width * ratio), Math.round(chart.height * ratio)];
    if (overlay.width !== width || overlay.height !== height) {
      overlay.width = width;
      overlay.height = height;
      overlay.style.width = `${chart.width}px`;
      overlay.style.height = `${chart.height}px`;
    }
    const context = overlay.getContext('2d');
    if (context === null) return [];
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, chart.width, chart.height);
    const { area } = projection;
    if (this.selection !== null) {
      const { from, to } = this.selection;
      context.fillStyle = mixed(theme.accent, 22);
      context.fillRect(Math.min(from, to), area.top, Math.abs(to - from), area.bottom - area.top);
      context.fillStyle = theme.accent;
      for (const edge of [from, to]) context.fillRect(Math.round(edge) - 0.5, area.top, 1, area.bottom - area.top);
    }
    if (cursor === null) return [];
    const readings = this.readings(cursor.x);
    drawCursor(context, projection, cursor.x, readings, theme, cursor.chart === this.definition.id);
    return readings;
  }

  readings(at: number): Reading[] {
    const projection = this.projection();
    if (projection === undefined) return [];
    const { area, from, to } = projection;
    const reach = (22 * (to - from)) / Math.max(1, area.right - area.left);
    return readCurves(this.definition, this.curves, this.view.state, at, reach);
  }

  select(selection: { from: number; to: number } | null): void {
    this.selection = selection;
    this.drawOverlay();
  }

  /** Says what stands at the cursor. */
  sayCursor(): void {
    const { cursor, state } = this.view;
    if (cursor === null) return;
    const said = sayReadings(this.definition, this.readings(cursor.x));
    this.view.announce(`${sayX(cursor.x, state.xAxis)}: ${said || 'no values'}`);
  }

  get area(): Area | undefined {
    return this.chart?.chartArea;
  }

  /** The drawing without cursor. */
  get picture(): HTMLCanvasElement {
    return this.canvas;
  }

  private projection(chart: Pick<Chart, 'scales' | 'chartArea'> | undefined = this.chart): Projection | undefined {
    if (chart?.scales.x === undefined || chart.scales.y === undefined) return undefined;
    return projectionOf(chart.chartArea, chart.scales.x, chart.scales.y);
  }

  /** The heading's figure, the buttons, and what screen readers are told of the chart; touches what has changed alone. */
  private describe(): void {
    const { view, definition, frame } = this;
    const { state } = view;
    const enlarged = state.enlarged === definition.id;
    const log = String(state.logCharts.includes(definition.id));
    if (this.logButton.getAttribute('aria-pressed') !== log) this.logButton.setAttribute('aria-pressed', log);
    if (this.enlarged !== enlarged) {
      this.enlarged = enlarged;
      fill(this.enlargeButton, icon(enlarged ? 'reduce' : 'enlarge'));
      this.enlargeButton.setAttribute('aria-label', `${enlarged ? 'Reduce' : 'Enlarge'} ${definition.title}`);
      this.enlargeButton.title = enlarged ? 'Back to all charts (Escape)' : 'Enlarge (Enter)';
      this.root.classList.toggle('enlarged', enlarged);
    }
    const evaluated = this.curves.filter(({ set, run }) => set !== trainSet && !run.level);
    const best = bestOf(
      definition,
      [...new Set(evaluated.map(({ run }) => run.info))],
      new Set(evaluated.map(({ set }) => set)),
    );
    const last = best === undefined ? this.lastTrained() : undefined;
    const kind = best === undefined ? 'last' : 'best';
    const value = formatFigure(best?.value ?? last, definition.unit);
    const run = view.looks.runs.find(({ key }) => key === best?.key);
    const where =
      best === undefined
        ? ''
        : [
            ...(view.runs.length > 1 ? [run?.info.label ?? ''] : []),
            ...(view.looks.sets.length > 1 ? [best.set] : []),
            `step ${formatNumber(best.step)}`,
          ].join(' · ');
    const any = best !== undefined || last !== undefined;
    const said = any ? [`${kind} ${value}`, where].filter((part) => part !== '').join(', ') : 'no values';
    const label = `${definition.title} by ${axisTitles[state.xAxis].toLowerCase()}: ${said}`;
    if (frame.getAttribute('aria-label') === label) return;
    frame.setAttribute('aria-label', label);
    this.callout.title = where === '' ? '' : said;
    if (!any) fill(this.callout);
    else fill(this.callout, `${kind} `, element('strong', {}, value), element('span', { class: 'where' }, ` ${where}`));
  }

  /** Where one run alone is shown: its newest value. */
  private lastTrained(): number | undefined {
    const trained = this.curves.filter(({ set }) => set === trainSet);
    const run = trained[0]?.run;
    if (run === undefined || trained.length > 1) return undefined;
    const { count } = run.points;
    const { smoothing } = this.view.state;
    const value =
      smoothing > 0 && this.definition.id !== 'learningRate'
        ? run.series(this.definition.id).smoothedAt(count - 1)
        : run.points.column(this.definition.id)[count - 1];
    return value === undefined || Number.isNaN(value) ? undefined : value;
  }

  /** Whether the drawing is as large as its place. */
  private fits(): boolean {
    const { chart } = this;
    const { width, height } = this.place();
    return (
      chart?.width === width && chart.height === height && chart.currentDevicePixelRatio === window.devicePixelRatio
    );
  }

  private place(): { readonly width: number; readonly height: number } {
    this.size ??= { width: this.frame.clientWidth, height: this.frame.clientHeight };
    return this.size;
  }

  private makeChart(): Chart<'trace'> {
    const { view, definition, canvas } = this;
    const guides: Plugin<'trace'> = {
      id: 'guides',
      beforeDatasetsDraw: (chart) => {
        const projection = this.projection(chart);
        if (projection === undefined) return;
        drawEpochs(chart.ctx, projection, epochMarks(view.shown, view.state.xAxis), view.theme);
      },
      afterDatasetsDraw: (chart) => {
        const projection = this.projection(chart);
        if (projection === undefined) return;
        const { state, theme, looks } = view;
        if (state.checkpoints) drawCheckpoints(chart.ctx, projection, view.shown, state.xAxis, looks, theme);
        drawBest(chart.ctx, projection, definition, this.curves, state, theme);
      },
    };
    // A chart that finds its size by itself draws twice, and once more whenever it changes.
    const { width, height } = this.place();
    canvas.width = width;
    canvas.height = height;
    return new Chart<'trace'>(canvas, {
      type: 'trace',
      data: { datasets: [{ data: [], plot: () => this.plot ?? nothing }] },
      plugins: [guides],
      options: {
        responsive: false,
        maintainAspectRatio: false,
        scales: this.scales(),
        animation: false,
        events: [],
        normalized: true,
        layout: { padding: { top: 8, right: 10 } },
      },
    });
  }

  private button(content: Node | string, label: string, onclick: () => void): HTMLButtonElement {
    return element('button', { class: 'plain', type: 'button', 'aria-label': label, title: label, onclick }, content);
  }
}

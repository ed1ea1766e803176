/** The run panel: one state object, and the parts that are functions of it. */

import { type ChartId, charts } from '../../src/core/view/charts.js';
import {
  type FromPanel,
  firstPanelState,
  type PanelRun,
  type PanelState,
  type ToPanel,
} from '../../src/core/view/run-panel.js';
import { element, fill, makeAnnouncer } from '../shared/dom.js';
import type { Host } from '../shared/host.js';
import { onThemeChange, readTheme, type Theme } from '../shared/theme.js';
import { type Span, wholeSpan } from './axes.js';
import { ChartCard } from './card.js';
import { hasFigure, Looks } from './curves.js';
import { Frames } from './frames.js';
import { Header } from './header.js';
import { Legend } from './legend.js';
import { RunModel } from './model.js';
import { drawPicture, pictureName } from './picture.js';
import { Readout } from './readout.js';
import { RunTable } from './run-table.js';
import { Toolbar } from './toolbar.js';
import type { View } from './view.js';
import { warmUp } from './warm-up.js';

/** Milliseconds after the last movement of the axis until its place is kept. */
const restMs = 200;
/** Milliseconds after which runs that were not found are said to be gone. */
const patienceMs = 5000;
/** Milliseconds between two renderings of facts that runs tell while they train. */
const factsMs = 250;

/** What the next frame has to bring up to date: nothing. */
const clean = { facts: false, figures: false, table: false, charts: false, span: false, cursor: false };

export class App implements View {
  state: PanelState;
  theme: Theme = readTheme();
  runs: RunModel[] = [];
  shown: RunModel[] = [];
  looks: Looks;
  whole: Span = { from: 0, to: 1 };
  cursor: View['cursor'] = null;
  emphasis: string | undefined;
  private readonly frames = new Frames(() => this.update());
  private readonly cards = new Map<ChartId, ChartCard>();
  private readonly announce_: (text: string) => void;
  private readonly header = new Header(this);
  private readonly toolbar: Toolbar;
  private readonly legend = new Legend(this);
  private readonly table = new RunTable(this);
  private readonly readout = new Readout(this);
  private readonly grid = element('div', { class: 'grid' });
  private readonly empty = element('div', { class: 'empty' });
  private readonly content: HTMLElement;
  private pointer = { x: 0, y: 0 };
  private rest: number | undefined;
  private factsSoon: number | undefined;
  private dirty = { ...clean };
  /** Whether the table shows older figures than there are; those that nobody sees can wait. */
  private tableIsOld = false;
  private received = false;
  private patient = true;
  missing: readonly string[] = [];

  constructor(
    private readonly host: Host<ToPanel, FromPanel, PanelState>,
    root: HTMLElement,
  ) {
    this.state = { ...firstPanelState, ...host.state };
    this.looks = new Looks([], this.theme);
    this.announce_ = makeAnnouncer(document.body);
    this.toolbar = new Toolbar(this, () => void this.exportPictures([...this.cards.values()]));
    this.content = element(
      'div',
      { class: 'panel', hidden: true },
      this.header.root,
      element('div', { class: 'controls' }, this.toolbar.root, this.legend.root),
      this.grid,
      this.table.root,
      element(
        'p',
        { id: 'chart-keys', class: 'visually-hidden' },
        'Left and right arrow move the cursor, with Shift they pan. Plus and minus zoom, 0 shows all. L switches the logarithmic scale, Enter enlarges.',
      ),
    );
    this.empty.append(element('p', { class: 'muted' }, 'Reading runs…'));
    root.append(this.empty, this.content, this.readout.box);
    host.listen((message) => this.receive(message));
    onThemeChange((theme) => {
      this.theme = theme;
      this.touch('facts', 'charts');
    });
    document.addEventListener('pointermove', ({ clientX, clientY }) => {
      this.pointer = { x: clientX, y: clientY };
    });
    document.addEventListener('scroll', () => this.frames.ask(), { passive: true });
    window.setTimeout(() => {
      this.patient = false;
      this.touch('facts');
    }, patienceMs);
    host.send({ type: 'ready' });
    const warming = warmUp(this.theme, root);
    const warm = (): void => {
      if (this.received) warming.return();
      else if (warming.next().done !== true) requestIdleCallback(warm);
    };
    requestIdleCallback(warm);
  }

  get span(): Span {
    const { zoom } = this.state;
    return zoom ?? this.whole;
  }

  change(patch: Partial<PanelState>): void {
    this.state = { ...this.state, ...patch };
    this.host.keep(this.state);
    this.touch('facts', 'charts');
    if ('enlarged' in patch) window.scrollTo({ top: 0 });
  }

  move(span: Span | null): void {
    this.state = { ...this.state, zoom: span };
    this.touch('span');
    clearTimeout(this.rest);
    this.rest = window.setTimeout(() => this.host.keep(this.state), restMs);
  }

  setCursor(cursor: View['cursor']): void {
    this.cursor = cursor;
    this.touch('cursor');
  }

  setEmphasis(key: string | undefined): void {
    if (key === this.emphasis) return;
    this.emphasis = key;
    this.frames.request(this.cards.values());
  }

  send(message: FromPanel): void {
    this.host.send(message);
  }

  announce(text: string): void {
    this.announce_(text);
  }

  private touch(...parts: (keyof typeof clean)[]): void {
    for (const part of parts) this.dirty[part] = true;
    this.frames.ask();
  }

  /** Figures that change twenty times a second are read by nobody. */
  private touchFactsSoon(): void {
    this.factsSoon ??= window.setTimeout(() => {
      this.factsSoon = undefined;
      this.touch('figures');
    }, factsMs);
  }

  private receive(message: ToPanel): void {
    switch (message.type) {
      case 'runs':
        this.received = true;
        this.takeRuns(message.runs, message.missing);
        break;
      case 'run': {
        const run = this.runs.find(({ key }) => key === message.run.key);
        if (run === undefined) return;
        this.sayEnd(run.info, message.run);
        const ended = run.info.state !== message.run.state;
        run.info = message.run;
        this.touch('charts');
        if (ended) this.touch('facts');
        else this.touchFactsSoon();
        break;
      }
      case 'points': {
        const run = this.runs.find(({ key }) => key === message.key);
        if (run === undefined) return;
        // With the first points come the charts that show them.
        if (run.points.count === 0) this.touch('facts');
        if (!run.put(message.from, message.points)) this.send({ type: 'lost', key: message.key });
        // Twenty runs that all make room with their next point would hold up a frame.
        else if (message.from === 0 && run.info.state === 'running') requestIdleCallback(() => run.points.reserve());
        this.touch('charts');
        break;
      }
    }
  }

  private takeRuns(infos: readonly PanelRun[], missing: readonly string[]): void {
    const before = new Map(this.runs.map((run) => [run.key, run]));
    this.runs = infos.map((info) => {
      const known = before.get(info.key);
      if (known === undefined) return new RunModel(info);
      known.info = info;
      return known;
    });
    this.missing = missing;
    // Runs that are not found now may be there in the next window.
    const keys = [...infos.map(({ key }) => key), ...missing];
    if (keys.join('\n') !== this.state.keys.join('\n')) {
      this.state = { ...this.state, keys };
      this.host.keep(this.state);
    }
    this.touch('facts', 'charts');
  }

  private sayEnd(before: PanelRun, after: PanelRun): void {
    if (before.state === 'running' && after.state !== 'running') this.announce(`${after.label}: ${after.state}`);
  }

  /** Once a frame at most, however many messages came. */
  private update(): void {
    const { facts, figures, table, charts: curves, span, cursor } = this.dirty;
    this.dirty = { ...clean };
    if (facts || figures || curves) {
      this.shown = this.runs.filter(({ key }) => !this.state.hiddenRuns.includes(key));
      this.whole = wholeSpan(this.shown, this.state.xAxis);
      this.looks = new Looks(this.runs, this.theme);
    }
    if (table || (this.tableIsOld && this.table.near())) {
      this.tableIsOld = false;
      this.table.render();
    }
    if (facts || figures) {
      this.renderFacts();
      this.arrange();
      // It stands below the charts: they come first.
      if (facts) this.touch('table');
      this.tableIsOld = true;
      this.frames.ask();
    }
    if (facts || curves || span) {
      this.toolbar.renderZoom();
      this.frames.request(this.cards.values());
    }
    if (cursor) this.drawCursors();
  }

  private renderFacts(): void {
    const any = this.runs.length > 0;
    this.content.hidden = !any;
    this.empty.hidden = any;
    if (!any) {
      // The editor may still be looking for them.
      if (this.received && (this.missing.length === 0 || !this.patient)) this.sayEmpty();
      return;
    }
    this.header.render();
    this.toolbar.render();
    this.legend.render();
  }

  private sayEmpty(): void {
    const { missing } = this;
    const [one] = missing;
    const gone = missing.length === 1 ? 'This run is not there any more' : 'These runs are not there any more';
    fill(
      this.empty,
      element('h2', {}, one === undefined ? 'No runs are shown' : gone),
      one === undefined ? null : element('p', { class: 'mono paths' }, missing.join('\n')),
      element('p', { class: 'muted' }, 'Choose runs of this workspace to see their curves here, together.'),
      element('button', { class: 'action', type: 'button', onclick: () => this.send({ type: 'add' }) }, 'Choose runs…'),
    );
  }

  /** Which charts are on the page, in which order. */
  private arrange(): void {
    const { state, runs, cards, grid } = this;
    const wanted = charts.filter(
      (chart) =>
        hasFigure(chart, runs) &&
        (state.enlarged === chart.id || (state.enlarged === null && !state.hiddenCharts.includes(chart.id))),
    );
    for (const [id, card] of cards) {
      if (wanted.some((chart) => chart.id === id)) continue;
      card.dispose();
      cards.delete(id);
    }
    grid.classList.toggle('one', state.enlarged !== null);
    for (const [i, chart] of wanted.entries()) {
      let card = cards.get(chart.id);
      if (card === undefined) {
        card = new ChartCard(chart, this, this.frames, (one) => void this.exportPictures([one]));
        cards.set(chart.id, card);
        this.frames.request([card]);
      }
      if (grid.children[i] !== card.root) grid.insertBefore(card.root, grid.children[i] ?? null);
    }
    this.content.classList.toggle('waiting', wanted.length === 0);
  }

  private drawCursors(): void {
    const { cursor } = this;
    for (const card of this.cards.values()) {
      if (card.urgency() === Infinity) continue;
      const readings = card.drawOverlay();
      if (cursor?.chart !== card.definition.id) continue;
      const box = card.root.getBoundingClientRect();
      const hovered = card.root.matches(':hover');
      const area = card.area;
      const share = (cursor.x - this.span.from) / (this.span.to - this.span.from);
      const middle = box.left + (area === undefined ? 0 : area.left + share * (area.right - area.left));
      this.readout.show(
        card.definition,
        readings,
        cursor.x,
        hovered ? this.pointer : { x: middle, y: box.top + box.height / 3 },
      );
    }
    if (cursor === null) this.readout.hide();
  }

  private async exportPictures(cards: readonly ChartCard[]): Promise<void> {
    // Charts out of sight may not have been drawn yet.
    for (const card of cards) card.draw();
    const png = await drawPicture(cards, this);
    if (png === undefined) return;
    this.send({ type: 'exportPng', name: pictureName(cards, this), png });
  }
}

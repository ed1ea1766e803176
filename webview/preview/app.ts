/** The preview: one state object, and the parts that are functions of it. */

import type { Figures, Filter, FromPreview, PreviewState, SetInfo, ToPreview } from '../../src/core/view/preview.js';
import { visibleText } from '../../src/core/view/visible.js';
import { debounced } from '../shared/controls.js';
import { element, fill, makeAnnouncer } from '../shared/dom.js';
import { type Host, oncePerFrame } from '../shared/host.js';
import { highlight, literal } from '../shared/text.js';
import { onThemeChange } from '../shared/theme.js';
import { TokenTip } from '../shared/tip.js';
import { FieldsPanel } from './fields.js';
import { type Counted, FindBar } from './find.js';
import { VirtualList } from './list.js';
import { Overview } from './overview.js';
import { type RowContext, rowElement, waitingRow } from './row.js';
import { RowStore } from './store.js';
import { Toolbar } from './toolbar.js';

export class App {
  state: PreviewState;
  set: SetInfo | undefined;
  counted: Counted = { count: 0, complete: false, searched: null, problem: undefined };
  fieldsShown = false;
  /** Where there is no room beside the rows, the overview takes their place when it is asked for. */
  private overRows = false;
  private figures: Figures | undefined;
  private readonly store: RowStore;
  private readonly list: VirtualList;
  private readonly toolbar: Toolbar;
  private readonly find: FindBar;
  private readonly fields: FieldsPanel;
  private readonly overview: Overview;
  private readonly tip = new TokenTip();
  private readonly bar = element('div', { class: 'notice', role: 'alert', hidden: true });
  private readonly empty = element('p', { class: 'empty muted', hidden: true });
  private readonly columns: HTMLElement;
  private readonly announce: (text: string) => void;
  private readonly opened = new Set<string>();
  private version = 1;
  /** A row to be shown as soon as its view is there. */
  private wanted: number | undefined;
  private readonly tellMask = debounced(() => {
    this.send({ type: 'mask', lossOn: this.state.lossOn, maxLength: this.state.maxLength });
    // What is cut off depends on it.
    if (this.state.filter.problem === 'truncated') this.renew();
  }, 120);
  private readonly keepTop = debounced(() => this.keep(), 400);
  private readonly mark = oncePerFrame(() => this.highlight());

  constructor(
    private readonly host: Host<ToPreview, FromPreview, PreviewState>,
    root: HTMLElement,
  ) {
    this.state = host.state;
    this.wanted = this.state.top;
    this.store = new RowStore((message) => this.send(message), this.version, this.state.view);
    this.announce = makeAnnouncer(document.body);
    this.toolbar = new Toolbar(this);
    this.find = new FindBar(this);
    this.fields = new FieldsPanel((mapping) => {
      this.send({ type: 'mapping', mapping });
      this.renew();
    });
    this.overview = new Overview({
      filter: (patch) => this.filter(patch),
      reveal: (row) => this.jump(row),
      evaluation: (evaluation) => this.send({ type: 'evaluation', evaluation }),
      scan: (on) => this.send(on ? { type: 'scan' } : { type: 'stop', what: 'scan' }),
    });
    const store = this.store;
    this.list = new VirtualList({
      get count() {
        return store.count;
      },
      make: (position) => this.make(position),
      ready: (position) => store.row(position) !== undefined,
      want: (from, to) => store.show(from, to),
      shown: (from, to) => this.shown(from, to),
    });
    this.columns = element(
      'div',
      { class: 'columns' },
      element('div', { class: 'main' }, this.list.root, this.empty),
      this.overview.root,
    );
    root.append(this.toolbar.root, this.fields.root, this.find.root, this.bar, this.columns, this.tip.root);
    this.tip.listen(this.list.root);
    host.listen((message) => this.receive(message));
    let narrow = this.narrow;
    window.addEventListener('resize', () => {
      if (narrow !== this.narrow) this.render();
      narrow = this.narrow;
    });
    onThemeChange((theme) => this.overview.retheme(theme));
    document.addEventListener('keydown', (event) => {
      if ((event.ctrlKey || event.metaKey) && event.key === 'f') {
        event.preventDefault();
        this.find.focus();
      }
    });
    this.render();
    this.send({ type: 'ready' });
    this.tellMask();
    this.send({ type: 'show', version: this.version, filter: this.state.filter });
  }

  get unit(): 'tokens' | 'characters' {
    return this.figures?.hasTokens === false ? 'characters' : 'tokens';
  }

  get records(): number | undefined {
    return this.figures?.checked?.records ?? this.figures?.records;
  }

  send(message: FromPreview): void {
    this.host.send(message);
  }

  change(patch: Partial<PreviewState>): void {
    const before = this.state;
    this.state = { ...before, ...patch };
    this.keep();
    const masked = this.state.lossOn !== before.lossOn || this.state.maxLength !== before.maxLength;
    if (masked) this.tellMask();
    if (this.state.view !== before.view) {
      const top = this.list.first;
      this.store.view = this.state.view;
      this.store.clear();
      this.list.remake();
      this.list.reveal(top);
    } else if (masked) this.list.remake();
    this.render();
  }

  filter(patch: Partial<Filter>): void {
    const filter = { ...this.state.filter, ...patch };
    if (JSON.stringify(filter) === JSON.stringify(this.state.filter)) return;
    this.state = { ...this.state, filter };
    this.counted = { count: 0, complete: false, searched: 0, problem: undefined };
    this.overRows = false;
    this.renew();
    this.list.reveal(0);
    this.render();
    this.keep();
  }

  jump(row: number): void {
    this.overRows = false;
    this.render();
    // In a filtered view rows are others: a row of the file is shown among all.
    if (this.counted.searched !== null) {
      const position = this.store.positionOf(row);
      if (position !== undefined) {
        this.list.reveal(position);
        return;
      }
      this.wanted = row;
      this.filter({
        text: '',
        minTokens: null,
        maxTokens: null,
        turns: null,
        label: null,
        problem: null,
        sort: 'file',
        scope: 'any',
        regex: false,
        matchCase: false,
      });
      return;
    }
    this.wanted = row;
    this.goToWanted();
  }

  stop(): void {
    this.send({ type: 'stop', what: 'search' });
  }

  get overviewShown(): boolean {
    return this.narrow ? this.overRows : this.state.overview;
  }

  toggleOverview(): void {
    if (this.narrow) this.overRows = !this.overRows;
    else this.change({ overview: !this.state.overview });
    this.render();
  }

  toggleFields(): void {
    this.fieldsShown = !this.fieldsShown;
    this.render();
  }

  private get narrow(): boolean {
    return window.innerWidth < 900;
  }

  /** Another version of what is shown: rows come anew. */
  private renew(): void {
    this.store.version = ++this.version;
    this.store.clear();
    this.store.count = 0;
    this.list.remake();
    this.send({ type: 'show', version: this.version, filter: this.state.filter });
  }

  private keep(): void {
    this.state = { ...this.state, top: this.list.first };
    this.host.keep(this.state);
  }

  private receive(message: ToPreview): void {
    switch (message.type) {
      case 'set':
        this.takeSet(message.set);
        break;
      case 'rowCount':
        if (message.version === this.version || message.version === 0) this.takeCount(message);
        break;
      case 'rows':
        if (message.version !== this.version) return;
        this.store.putRows(message.from, message.rows);
        for (const [i] of message.rows.entries()) this.list.remake(message.from + i);
        break;
      case 'tokens':
        if (message.version !== this.version) return;
        this.store.putTokens(message.from, message.tokens);
        for (const [i] of message.tokens.entries()) this.list.remake(message.from + i);
        break;
      case 'whole': {
        this.store.putWhole(message.row, message.shown, message.tokens);
        const position = this.store.positionOf(message.row);
        if (position !== undefined) this.list.remake(position);
        break;
      }
      case 'figures':
        this.figures = message.figures;
        this.render();
        break;
      case 'failed':
        this.say(message.message, message.advice, true);
        break;
      case 'notice':
        this.say(message.message, undefined, false);
        break;
      case 'reveal':
        this.jump(message.row);
        break;
    }
  }

  private takeSet(set: SetInfo): void {
    const before = this.set;
    this.set = set;
    const other = (key: 'model' | 'template' | 'maskSource' | 'modelProblem'): boolean => before?.[key] !== set[key];
    if (before !== undefined && (other('model') || other('template') || other('maskSource') || other('modelProblem'))) {
      this.store.clearTokens();
      // Lengths are others now, and so may be the rows that were chosen by them.
      if (this.counted.searched !== null) this.renew();
    }
    if (before?.detected !== set.detected || JSON.stringify(before?.mapping) !== JSON.stringify(set.mapping)) {
      this.store.clear();
    }
    this.list.remake();
    this.render();
    // As the trainer does: what the model has no positions for is cut off.
    if (set.maxPositions !== undefined && this.state.maxLength > set.maxPositions) {
      this.change({ maxLength: set.maxPositions });
    }
  }

  private takeCount({ count, complete, searched, problem }: Extract<ToPreview, { type: 'rowCount' }>): void {
    const wasComplete = this.counted.complete;
    // A sorted view comes whole at the end.
    if (count !== this.store.count && this.state.filter.sort !== 'file') this.store.clearFrom(0);
    this.counted = { count, complete, searched, problem };
    this.store.count = count;
    this.list.refresh();
    this.find.renderStatus();
    if (complete && !wasComplete && searched !== null) this.announce(`${count} records found`);
    this.empty.hidden = count > 0 || !complete;
    this.empty.textContent = problem !== undefined ? '' : searched === null ? 'No records.' : 'No record fits.';
    this.goToWanted();
  }

  private goToWanted(): void {
    if (this.wanted === undefined || this.store.count <= this.wanted) return;
    if (this.counted.searched !== null && this.wanted !== 0 && !this.counted.complete) return;
    this.list.reveal(this.wanted);
    this.wanted = undefined;
  }

  private say(text: string, advice: string | undefined, failed: boolean): void {
    this.bar.hidden = false;
    this.bar.classList.toggle('failed', failed);
    fill(
      this.bar,
      element('span', {}, visibleText(text), advice === undefined ? null : ` ${visibleText(advice)}`),
      element('span', { class: 'spacer' }),
      element(
        'button',
        {
          class: 'plain',
          type: 'button',
          onclick: () => {
            this.bar.hidden = true;
            this.renew();
            this.send({ type: 'reload' });
          },
        },
        'Read again',
      ),
      element('button', { class: 'plain', type: 'button', onclick: () => this.hideBar() }, 'Dismiss'),
    );
  }

  private hideBar(): void {
    this.bar.hidden = true;
  }

  private make(position: number): HTMLElement {
    const row = this.store.row(position);
    if (row === undefined) return waitingRow(position);
    return rowElement(row, this.store.tokens(position), this.context());
  }

  private context(): RowContext {
    const { view, lossOn, maxLength } = this.state;
    const { set } = this;
    return {
      view,
      mask: { lossOn, maxLength },
      tip: this.tip,
      format: set?.mapping.format === 'auto' ? set.detected : set?.mapping.format,
      hasLines: set !== undefined && /^(jsonl|json|csv|tsv)$/.test(set.kind),
      opened: this.opened,
      whole: (row) => this.send({ type: 'whole', row, view }),
      openLine: (line) => this.send({ type: 'openLine', line }),
      copy: (row) => this.send({ type: 'copy', row }),
      folded: (key, open) => {
        if (open) this.opened.add(key);
        else this.opened.delete(key);
        this.list.refresh();
      },
    };
  }

  private shown(from: number, to: number): void {
    this.store.show(from, to);
    this.keepTop();
    this.mark();
  }

  private highlight(): void {
    const { text, regex, matchCase } = this.state.filter;
    // A person's expression runs in the worker alone, where it can be stopped.
    highlight(this.list.root, regex ? undefined : literal(text, matchCase));
  }

  private render(): void {
    const { state, set, figures } = this;
    this.toolbar.render(figures?.hasTokens === true ? figures.longest : undefined);
    this.find.render();
    this.fields.root.hidden = !this.fieldsShown;
    this.columns.classList.toggle('with-overview', this.overviewShown);
    this.overview.root.hidden = !this.overviewShown;
    if (set !== undefined) {
      this.fields.render(set);
      this.overview.renderSet(set);
    }
    if (figures !== undefined && this.overviewShown) this.overview.render(figures, state.maxLength, state.filter);
    this.list.refresh();
  }
}

/** The samples view: one state object, and the parts that are functions of it and of what the extension says. */

import {
  type FromSamples,
  firstQuery,
  type PromptDetail,
  type SamplesQuery,
  type SamplesRun,
  type SamplesState,
  type ToSamples,
} from '../../src/core/view/samples.js';
import { element, fill, makeAnnouncer } from '../shared/dom.js';
import type { Host } from '../shared/host.js';
import { formatNumber } from '../shared/text.js';
import { DetailView } from './detail.js';
import { emptyParts } from './empty.js';
import { Header } from './header.js';
import { PromptListView } from './list.js';
import type { ListMessage, View } from './view.js';

export class App implements View {
  query: SamplesQuery;
  runs: SamplesRun[] = [];
  sets: string[] = [];
  list: ListMessage | undefined;
  detail: PromptDetail | null = null;
  private keys: readonly string[];
  private received = false;
  private reading = true;
  private missing: readonly string[] = [];
  private readonly announce: (text: string) => void;
  private readonly header: Header;
  private readonly records: PromptListView;
  private readonly details: DetailView;
  private readonly nothing = element('div', { class: 'nothing-found', hidden: true });
  private readonly empty = element('div', { class: 'empty' });
  private readonly content: HTMLElement;

  constructor(
    private readonly host: Host<ToSamples, FromSamples, SamplesState>,
    root: HTMLElement,
  ) {
    this.keys = host.state.keys;
    this.query = { ...firstQuery, ...host.state.query };
    this.announce = makeAnnouncer(document.body);
    this.header = new Header(this);
    this.records = new PromptListView(this);
    this.details = new DetailView(this, this.announce);
    this.content = element(
      'div',
      { class: 'content', hidden: true },
      this.header.root,
      element(
        'div',
        { class: 'columns' },
        element('div', { class: 'list-side' }, this.records.root, this.nothing),
        this.details.root,
      ),
    );
    root.append(this.empty, this.content);
    host.listen((message) => this.receive(message));
    document.addEventListener('keydown', (event) => this.key(event));
    this.render();
    host.send({ type: 'ready', query: this.query });
  }

  change(patch: Partial<SamplesQuery>): void {
    this.query = { ...this.query, ...patch };
    this.keep();
    this.host.send({ type: 'query', query: this.query });
    if (['filter', 'order', 'text', 'run', 'set'].some((key) => key in patch)) this.records.seek();
    this.header.render();
  }

  select(position: number): void {
    this.host.send({ type: 'selectAt', position });
  }

  send(message: FromSamples): void {
    this.host.send(message);
  }

  enterDetail(): void {
    this.details.focus();
  }

  private keep(): void {
    this.host.keep({ keys: [...this.keys], query: this.query });
  }

  private key(event: KeyboardEvent): void {
    if ((event.ctrlKey || event.metaKey) && event.key === 'f') this.header.focusFind();
    else if (event.key === 'Escape' && this.details.root.contains(document.activeElement)) this.records.root.focus();
    else return;
    event.preventDefault();
  }

  private receive(message: ToSamples): void {
    switch (message.type) {
      case 'runs':
        this.takeRuns(message);
        break;
      case 'list':
        this.takeList(message);
        break;
      case 'rows':
        this.records.takeRows(message.version, message.from, message.rows);
        return;
      case 'detail':
        this.takeDetail(message.detail);
        return;
      case 'goTo':
        this.change({ shown: null, step: message.step });
        return;
    }
    this.render();
  }

  private takeRuns({ runs, missing, sets, reading }: Extract<ToSamples, { type: 'runs' }>): void {
    this.received = true;
    this.reading = reading;
    this.missing = missing;
    this.runs = runs;
    this.sets = sets;
    const keys = runs.map(({ key }) => key);
    // A run that is not known yet may come: what was kept is given up only for what is there.
    if (keys.length > 0 && keys.join('\n') !== this.keys.join('\n')) {
      this.keys = keys;
      this.keep();
    }
  }

  private takeList(list: ListMessage): void {
    const before = this.list;
    this.list = list;
    const last = list.steps.at(-1);
    if (before !== undefined && before.run === list.run && last !== undefined && last !== before.steps.at(-1)) {
      this.announce(`New evaluation at step ${formatNumber(last)}`);
    }
    this.records.take(list);
  }

  private takeDetail(detail: PromptDetail | null): void {
    this.detail = detail;
    if (detail !== null && detail.key !== this.query.selected) {
      this.query = { ...this.query, selected: detail.key };
      this.keep();
    }
    this.details.render();
    this.records.selected();
  }

  private render(): void {
    const empty = emptyParts(this, this.received && !(this.reading && this.sets.length === 0), this.missing);
    this.empty.hidden = empty === undefined;
    this.content.hidden = empty !== undefined;
    if (empty !== undefined) {
      fill(this.empty, ...empty);
      return;
    }
    this.header.render();
    const none = this.list?.count === 0;
    this.nothing.hidden = !none;
    this.records.root.hidden = none;
    if (none) this.sayNothing();
    this.details.render();
  }

  private sayNothing(): void {
    const { text } = this.query;
    fill(
      this.nothing,
      element('p', { class: 'muted' }, text === '' ? 'No record is like that.' : 'Nothing found.'),
      element(
        'button',
        { class: 'action', type: 'button', onclick: () => this.change({ filter: firstQuery.filter, text: '' }) },
        'Show all answered',
      ),
    );
  }
}

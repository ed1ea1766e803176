/** The preview of a data set: a list of rows, the row that is chosen, and an overview. What a person does goes to the extension as intents. */

import '../shared/base.css';
import './preview.css';
import {
  type FromPreview,
  fromPreview,
  type PreviewPageState,
  type PreviewRow,
  type PreviewToken,
  previewPageState,
  type RecordMapping,
  type ToPreview,
  toPreview,
} from '../../src/core/view/preview.js';
import { visibleText } from '../../src/core/view/visible.js';
import { element, fill, makeAnnouncer, rootElement } from '../shared/dom.js';
import { connect } from '../shared/host.js';
import { chatView, rawView, tokenView } from './detail.js';
import { RowList } from './list.js';
import { Overview } from './overview.js';

const fallback: PreviewPageState = { view: 'chat', position: 0, lossOn: 'completion' };
const host = connect<ToPreview, FromPreview, PreviewPageState>({
  incoming: toPreview,
  state: previewPageState,
  fallback,
});
const send = (message: FromPreview): void => host.send(fromPreview.parse(message));
const announce = makeAnnouncer(document.body);

let page = host.state;
const keep = (change: Partial<PreviewPageState>): void => {
  page = { ...page, ...change };
  host.keep(page);
};

let current: PreviewRow | undefined;
let tokens:
  | {
      readonly row: number;
      readonly tokens: readonly PreviewToken[];
      readonly more: number;
      readonly problem?: string | undefined;
    }
  | undefined;
let maxLength = 1024;
let started = false;
let shownFilter: string | null = null;
let shownTotal = -1;

const list = new RowList({
  ask: (version, from, count) => send({ type: 'rows', version, from, count }),
  select: (row, position) => {
    if (current?.row !== row.row) tokens = undefined;
    current = row;
    keep({ position });
    if (page.view === 'tokens' && tokens === undefined) send({ type: 'tokens', row: row.row });
    showDetail();
  },
});
const overview = new Overview({
  filter: (where) => {
    whereInput.value = where;
    filter();
    setView('chat');
  },
  goTo: (row) => {
    setView('chat');
    send({ type: 'goTo', row });
  },
  all: () => send({ type: 'overview' }),
});

const title = element('h1');
const facts = element('span', { class: 'muted facts-line' });
const busy = element('span', { class: 'muted busy', role: 'status' });
const stop = element('button', { class: 'plain stop', onclick: () => send({ type: 'stop' }) }, 'Stop');
const problem = element('span', { class: 'error', role: 'alert' });
const whereInput = element('input', {
  class: 'where',
  type: 'text',
  spellcheck: 'false',
  placeholder: 'Filter: text : "refund" and turns >= 3, assistant ~ /sorry/i, problem != any',
  'aria-label': 'Filter',
  onkeydown: (event) => {
    if (event instanceof KeyboardEvent && event.key === 'Enter') filter();
  },
});
const sort = select('Sort', [
  ['', 'file order'],
  ['length', 'shortest first'],
  ['-length', 'longest first'],
]);
sort.onchange = filter;
const goTo = element('input', {
  type: 'number',
  min: 1,
  class: 'go-to',
  'aria-label': 'Go to row',
  onchange: () => {
    const row = Number(goTo.value);
    if (Number.isInteger(row) && row > 0) send({ type: 'goTo', row: row - 1 });
  },
});
const format = select('Format', [
  ['auto', 'auto'],
  ['alpaca', 'Alpaca'],
  ['sharegpt', 'ShareGPT'],
  ['messages', 'messages'],
  ['custom', 'custom'],
  ['text', 'text'],
]);
format.onchange = sendMapping;
const fieldSelects = (['prompt', 'completion', 'system', 'messages'] as const).map((name) => {
  const made = select(name, [['', '(found)']]);
  made.onchange = sendMapping;
  return { name, select: made };
});
const model = select('Model', []);
model.onchange = () => {
  send({ type: 'model', model: model.value });
  tokens = undefined;
  if (current !== undefined && page.view === 'tokens') send({ type: 'tokens', row: current.row });
};
const lossOn = select('Trained on', [
  ['completion', 'completion'],
  ['all', 'all'],
]);
lossOn.value = page.lossOn;
lossOn.onchange = () => {
  keep({ lossOn: lossOn.value === 'all' ? 'all' : 'completion' });
  showDetail();
};
const lengthText = element('span', { class: 'mono' });
const slider = element('input', {
  type: 'range',
  min: 0,
  max: 60,
  'aria-label': 'max_length',
  oninput: () => {
    maxLength = Math.round(2 ** (4 + Number(slider.value) / 5));
    lengthText.textContent = String(maxLength);
    showDetail();
  },
  onchange: () => send({ type: 'maxLength', maxLength }),
});
const tabs = (['chat', 'raw', 'tokens', 'overview'] as const).map((view) => ({
  view,
  button: element('button', { class: 'plain', 'data-view': view, onclick: () => setView(view) }, view),
}));
const detail = element('div', { class: 'detail', tabindex: 0, role: 'region', 'aria-label': 'Record' });

fill(
  rootElement(),
  element(
    'div',
    { class: 'bar' },
    title,
    facts,
    element('span', { class: 'grow' }),
    labelled('Format', format),
    ...fieldSelects.map((one) => labelled(one.name, one.select)),
    labelled('Model', model),
    labelled('Trained on', lossOn),
    element('label', {}, 'max_length', slider, lengthText),
  ),
  element(
    'div',
    { class: 'bar' },
    whereInput,
    sort,
    labelled('Row', goTo),
    element('button', { class: 'plain', onclick: () => send({ type: 'save' }) }, 'Save as new…'),
    element('button', { class: 'plain', onclick: () => send({ type: 'fineTune' }) }, 'Fine-tune…'),
    ...tabs.map(({ button }) => button),
    busy,
    stop,
    problem,
  ),
  element('div', { class: 'columns' }, list.element, detail),
);
stop.hidden = true;
setView(page.view);
host.listen(receive);
send({ type: 'ready' });

function receive(message: ToPreview): void {
  switch (message.type) {
    case 'opened': {
      title.textContent = visibleText(message.name);
      facts.textContent = `${message.kind}, ${message.size}${message.detected === '' ? '' : `, ${message.detected}`}`;
      options(
        model,
        message.models.map(({ value, label }) => [value, label] as const),
      );
      model.value = message.model;
      maxLength = message.maxLength;
      slider.value = String(Math.round((Math.log2(maxLength) - 4) * 5));
      lengthText.textContent = String(maxLength);
      format.value = message.mapping.format;
      for (const one of fieldSelects) {
        options(one.select, [['', '(found)'], ...message.fieldNames.map((name) => [name, visibleText(name)] as const)]);
        one.select.value = message.mapping.fields[one.name] ?? '';
      }
      showFields();
      return;
    }
    case 'count': {
      const grown = started && message.filter === shownFilter && shownTotal >= 0 && !message.complete;
      if (grown) list.resize(message.count);
      else list.reset(message.count, started ? list.position : page.position);
      started = started || message.complete || message.filter !== null;
      shownFilter = message.filter;
      shownTotal = message.total;
      const rate = message.total === 0 ? 0 : (100 * message.count) / message.total;
      const text =
        message.filter === null
          ? `${message.count}${message.complete ? '' : '+'} records`
          : `${message.count} of ${message.total} records (${rate.toFixed(1)} %)`;
      problem.textContent = '';
      busy.textContent = text;
      announce(text);
      if (message.count === 0) {
        current = undefined;
        showDetail();
      }
      return;
    }
    case 'rows':
      list.receive(message.version, message.from, message.rows);
      return;
    case 'tokens':
      tokens = message;
      showDetail();
      return;
    case 'overview':
      overview.show(message.overview);
      return;
    case 'busy':
      stop.hidden = message.what === null;
      if (message.what !== null) busy.textContent = message.what;
      else if (shownTotal >= 0) busy.textContent = shownFilter === null ? `${shownTotal} records` : busy.textContent;
      return;
    case 'failed':
      problem.textContent = message.message;
      if (message.about === 'file' && current === undefined)
        fill(detail, element('p', { class: 'error empty' }, message.message));
      return;
    case 'jump':
      list.go(message.position);
      return;
  }
}

function setView(view: PreviewPageState['view']): void {
  keep({ view });
  for (const tab of tabs) tab.button.setAttribute('aria-pressed', String(tab.view === view));
  if (view === 'tokens' && current !== undefined && tokens?.row !== current.row)
    send({ type: 'tokens', row: current.row });
  showDetail();
}

function showDetail(): void {
  if (page.view === 'overview') {
    if (!detail.contains(overview.element)) fill(detail, overview.element);
    return;
  }
  if (current === undefined) {
    fill(detail, element('p', { class: 'muted empty' }, 'No record is shown.'));
    return;
  }
  if (page.view === 'chat') fill(detail, ...chatView(current));
  else if (page.view === 'raw') fill(detail, ...rawView(current));
  else if (tokens === undefined || tokens.row !== current.row) fill(detail, element('p', { class: 'muted' }, '…'));
  else if (tokens.problem !== undefined) fill(detail, element('p', { class: 'error' }, tokens.problem));
  else fill(detail, ...tokenView({ ...tokens, lossOn: page.lossOn, maxLength }));
}

function filter(): void {
  const by = sort.value === 'length' || sort.value === '-length' ? sort.value : '';
  problem.textContent = '';
  send({ type: 'filter', where: whereInput.value, sort: by });
}

function sendMapping(): void {
  const chosen = fieldSelects.filter((one) => one.select.value !== '').map((one) => [one.name, one.select.value]);
  const mapping = { format: format.value, fields: Object.fromEntries(chosen) } as RecordMapping;
  showFields();
  tokens = undefined;
  send({ type: 'mapping', mapping });
}

/** Fields are for formats that have them to choose. */
function showFields(): void {
  for (const { name, select: one } of fieldSelects) {
    const used =
      name === 'messages'
        ? ['sharegpt', 'messages'].includes(format.value)
        : name === 'system'
          ? format.value !== 'alpaca'
          : format.value === 'custom';
    if (one.parentElement !== null)
      one.parentElement.hidden = !used || format.value === 'auto' || format.value === 'text';
  }
}

function select(name: string, entries: readonly (readonly [string, string])[]): HTMLSelectElement {
  const made = element('select', { 'aria-label': name });
  options(made, entries);
  return made;
}

function options(target: HTMLSelectElement, entries: readonly (readonly [string, string])[]): void {
  fill(target, ...entries.map(([value, label]) => element('option', { value }, label)));
}

function labelled(name: string, control: HTMLElement): HTMLElement {
  return element('label', {}, name, control);
}

/** Which runs and which evaluation set, and which of its records are listed. */

import { type PromptFilter, promptFilters, promptOrders } from '../../src/core/view/samples-list.js';
import { visibleText } from '../../src/core/view/visible.js';
import { action } from '../shared/action.js';
import { onTyped, Select } from '../shared/controls.js';
import { element, fill, keepingFocus } from '../shared/dom.js';
import { icon } from '../shared/icons.js';
import { formatNumber } from '../shared/text.js';
import { labelOf, type View } from './view.js';

const filterTexts: Readonly<Record<PromptFilter, readonly [string, string]>> = {
  answered: ['Answered', 'Records that the model was asked'],
  wrong: ['Wrong', 'Wrong at the last evaluation'],
  right: ['Right', 'Right at the last evaluation'],
  becameRight: ['Became right', 'Wrong at the first evaluation, right at the last'],
  becameWrong: ['Became wrong', 'Right at the first evaluation, wrong at the last'],
  flipFlopped: ['Flip-flopped', 'Changed between right and wrong more than once'],
  differ: ['Runs differ', 'Right in one run and wrong in another, at their last evaluations'],
  sampled: ['With entropies', 'Records of which answers are kept with all tokens and their entropies'],
  all: ['All records', 'With those that the model was not asked'],
};

const orderTexts: Readonly<Record<(typeof promptOrders)[number], string>> = {
  worst: 'worst first',
  best: 'best first',
  file: 'as in the data set',
};

export class Header {
  readonly root = element('header', { class: 'page-header' });
  private readonly title = element('div', { class: 'title-row' });
  private readonly filters = element('div', { class: 'filters', role: 'group', 'aria-label': 'Which records' });
  private readonly run: Select;
  private readonly set: Select;
  private readonly order: Select;
  private readonly find = element('input', {
    type: 'search',
    class: 'find',
    placeholder: 'Find in prompts and answers',
    'aria-label': 'Find in prompts and answers',
    spellcheck: 'false',
  });

  private readonly out: HTMLButtonElement;

  constructor(private readonly view: View) {
    this.out = element('button', { class: 'plain', type: 'button', onclick: () => this.takeOut() }, icon('cross'));
    this.run = new Select(
      'Run',
      (run) => view.change({ run, shown: null, step: null }),
      'The run whose answers are listed',
    );
    this.set = new Select('Set', (set) => view.change({ set }), 'Evaluation set');
    this.order = new Select('Order', (value) => {
      const order = promptOrders.find((one) => one === value);
      if (order !== undefined) view.change({ order });
    });
    onTyped([this.find], 200, () => view.change({ text: this.find.value }));
    this.root.append(
      this.title,
      element(
        'div',
        { class: 'tools' },
        element('span', { class: 'run-pick' }, this.run.root, this.out),
        this.set.root,
        this.order.root,
        element('span', { class: 'find-box' }, this.find),
      ),
      this.filters,
    );
  }

  focusFind(): void {
    this.find.focus();
    this.find.select();
  }

  render(): void {
    const { view } = this;
    const { query, runs, sets, list } = view;
    keepingFocus(this.title, () => fill(this.title, ...this.titleParts()));
    this.run.root.hidden = runs.length < 2;
    this.out.hidden = runs.length < 2;
    const what = `Take ${visibleText(labelOf(view, list?.run ?? ''))} out of the view`;
    this.out.title = what;
    this.out.setAttribute('aria-label', what);
    this.run.set(
      runs.map(({ key, label }) => ({ value: key, label: visibleText(label) })),
      runs.some(({ key }) => key === query.run) ? (query.run ?? '') : (list?.run ?? ''),
    );
    this.set.root.hidden = sets.length < 2;
    this.set.set(
      sets.map((name) => ({ value: name, label: visibleText(name) })),
      query.set !== null && sets.includes(query.set) ? query.set : (list?.set ?? ''),
    );
    this.order.set(
      promptOrders.map((order) => ({ value: order, label: orderTexts[order] })),
      query.order,
    );
    if (document.activeElement !== this.find) this.find.value = query.text;
    keepingFocus(this.filters, () => fill(this.filters, ...promptFilters.flatMap((filter) => this.chip(filter) ?? [])));
  }

  private titleParts(): HTMLElement[] {
    const { view } = this;
    const [first] = view.runs;
    const steps = view.list?.steps.length ?? 0;
    const about = [
      ...new Set(view.runs.map(({ experiment }) => visibleText(experiment))),
      ...(view.list?.set === undefined || view.list.set === null ? [] : [`set ${visibleText(view.list.set)}`]),
      ...(steps === 0 ? [] : [`${formatNumber(steps)} ${steps === 1 ? 'evaluation' : 'evaluations'}`]),
    ];
    const name = view.runs.length === 1 && first !== undefined ? first.label : `${view.runs.length} runs`;
    return [
      element('h1', {}, visibleText(name)),
      ...(view.runs.some(({ state }) => state === 'running') ? [live()] : []),
      element('span', { class: 'muted about' }, about.join(' · ')),
      element('span', { class: 'spacer' }),
      element(
        'div',
        { class: 'actions' },
        action('plus', 'Add run…', 'Show the answers of more runs', () => view.send({ type: 'add' })),
        action('chart', 'Charts', 'Open the curves of these runs', () => view.send({ type: 'openCharts' })),
      ),
    ];
  }

  private takeOut(): void {
    const run = this.view.list?.run;
    if (run !== undefined && run !== null) this.view.send({ type: 'remove', run });
  }

  private chip(filter: PromptFilter): HTMLElement | undefined {
    const { query, list, runs } = this.view;
    const count = list?.counts[filter] ?? 0;
    const on = query.filter === filter;
    if (!on && filter === 'differ' && runs.length < 2) return undefined;
    // Where nothing is checked there is no right and wrong.
    const ofAny = filter === 'answered' || filter === 'all' || filter === 'sampled';
    if (!on && list?.checked === false && !ofAny) return undefined;
    if (!on && (filter === 'all' || filter === 'sampled') && count === list?.counts.answered) return undefined;
    const [text, title] = filterTexts[filter];
    return element(
      'button',
      {
        class: `chip${count === 0 ? ' none' : ''}`,
        type: 'button',
        title,
        'aria-pressed': String(on),
        'data-focus': filter,
        onclick: () => this.view.change({ filter }),
      },
      text,
      element('span', { class: 'count' }, formatNumber(count)),
    );
  }
}

function live(): HTMLElement {
  return element('span', { class: 'badge running' }, element('span', { class: 'badge-dot' }), 'Running');
}

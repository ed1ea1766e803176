/** What the set holds as a whole: figures, lengths, labels, and problems with a way to their rows. */

import type { Figures, Filter, PreviewProblem, SetInfo } from '../../src/core/view/preview.js';
import { problemTitles } from '../../src/core/view/preview-problems.js';
import { visibleText } from '../../src/core/view/visible.js';
import { Select } from '../shared/controls.js';
import { element, fill } from '../shared/dom.js';
import { formatNumber, formatPercent } from '../shared/text.js';
import type { Theme } from '../shared/theme.js';
import { FieldList } from './field-list.js';
import { Histogram } from './histogram.js';
import { formatName } from './toolbar.js';

export interface OverviewOwner {
  filter(patch: Partial<Filter>): void;
  reveal(row: number): void;
  evaluation(path: string): void;
  /** Reads the whole set, or no more of it. */
  scan(on: boolean): void;
}

const signs = { error: '●', warning: '▲', info: '◆' } as const;

export class Overview {
  readonly root: HTMLElement;
  private readonly state = element('p', { class: 'muted', role: 'status' });
  private readonly progress = element('progress', { max: 1, 'aria-label': 'Reading the data set' });
  private readonly tiles = element('div', { class: 'tiles' });
  private readonly histogram: Histogram;
  private readonly lengthTitle = element('h2');
  private readonly labels = element('section', { class: 'labels' });
  private readonly fields = new FieldList();
  private readonly problems = element('section', { class: 'problems' });
  private readonly evaluation: Select;
  private readonly open = new Set<string>();
  private readonly reading: HTMLElement;
  private readonly stop: HTMLButtonElement;
  private stopped = false;

  constructor(private readonly owner: OverviewOwner) {
    this.histogram = new Histogram((from, to) => owner.filter({ minTokens: from, maxTokens: to }));
    this.evaluation = new Select('Evaluation set', (path) => owner.evaluation(path));
    this.stop = element('button', { class: 'plain', type: 'button', onclick: () => this.toggle() });
    this.reading = element(
      'div',
      {},
      element('div', { class: 'line' }, this.state, element('span', { class: 'spacer' }), this.stop),
      this.progress,
    );
    this.root = element(
      'aside',
      { class: 'overview', 'aria-label': 'Overview' },
      this.reading,
      this.tiles,
      element('section', {}, this.lengthTitle, this.histogram.root),
      this.problems,
      this.evaluation.root,
      this.labels,
      this.fields.root,
    );
  }

  retheme(theme: Theme): void {
    this.histogram.retheme(theme);
    this.fields.retheme(theme);
  }

  renderSet({ evaluations, evaluation }: SetInfo): void {
    this.evaluation.set(
      evaluations.map(({ value, label }) => ({ value, label: visibleText(label) })),
      evaluation,
    );
  }

  render(figures: Figures, maxLength: number, filter: Filter): void {
    this.progress.hidden = figures.done || this.stopped;
    this.progress.value = figures.share;
    const percent = Math.floor(100 * figures.share);
    const sample = `the first ${percent} % of the file${this.stopped ? '' : ' so far'}`;
    this.state.textContent =
      figures.checked === undefined ? `Sampled: ${sample}` : `All lines checked. The rest is sampled: ${sample}`;
    this.stop.textContent = this.stopped ? 'Read all' : 'Stop';
    this.reading.hidden = figures.done;
    this.renderTiles(figures);
    const sampled = figures.done ? '' : ' · sampled';
    this.lengthTitle.textContent = `${figures.hasTokens ? 'Tokens' : 'Characters'} of a record${sampled}`;
    if (figures.hasTokens) this.histogram.show(figures.bins, 'tokens', maxLength);
    else this.histogram.show(figures.bins, 'characters', Number.POSITIVE_INFINITY);
    this.fields.render(figures.checked);
    this.renderProblems(figures, filter);
    this.renderLabels(figures, filter);
  }

  private toggle(): void {
    this.stopped = !this.stopped;
    this.stop.textContent = this.stopped ? 'Read all' : 'Stop';
    this.progress.hidden = this.stopped;
    this.owner.scan(!this.stopped);
  }

  private renderTiles(figures: Figures): void {
    const tile = (name: string, value: string, more = ''): HTMLElement =>
      element(
        'div',
        { class: 'tile' },
        element('span', { class: 'muted' }, name),
        element('strong', {}, value),
        element('span', { class: 'muted extra' }, more),
      );
    const { records, turns, hasTokens } = figures;
    const formats = figures.formats.map(([name, count]) =>
      figures.formats.length === 1 ? formatName(name) : `${formatName(name)} ${formatNumber(count)}`,
    );
    const perRecord = records === 0 ? '' : `${(turns / records).toFixed(turns % records === 0 ? 0 : 1)} a record`;
    fill(
      this.tiles,
      tile('Records', formatNumber(figures.checked?.records ?? records), formats.join(', ')),
      tile('Turns', formatNumber(turns), perRecord),
      hasTokens
        ? tile(
            'Tokens',
            formatNumber(figures.keptTokens),
            figures.keptTokens < figures.tokens ? `of ${formatNumber(figures.tokens)}` : 'none cut off',
          )
        : null,
      hasTokens
        ? tile(
            'Trained on',
            formatPercent(figures.lossTokens, figures.keptTokens),
            `${formatNumber(figures.lossTokens)} tokens`,
          )
        : null,
      tile('Longest', formatNumber(figures.longest), hasTokens ? 'tokens' : 'characters'),
      hasTokens
        ? tile('Cut off', formatNumber(figures.truncated), figures.truncated === 1 ? 'record' : 'records')
        : null,
    );
  }

  private renderProblems({ problems: found, done, checked }: Figures, filter: Filter): void {
    const problems = withMalformed(found, checked);
    const title = element('h2', {}, 'Problems');
    if (problems.length === 0) {
      fill(this.problems, title, element('p', { class: 'muted' }, done ? 'None found.' : 'None so far.'));
      return;
    }
    fill(this.problems, title, ...problems.map((problem) => this.problem(problem, filter)));
  }

  private problem({ kind, severity, message, count, first }: PreviewProblem, filter: Filter): HTMLElement {
    const on = filter.problem === kind;
    const line = element(
      'button',
      {
        class: 'entry',
        type: 'button',
        'aria-pressed': String(on),
        title: on ? 'Show all records' : 'Show these records',
        onclick: () => this.owner.filter({ problem: on ? null : kind }),
      },
      element('span', { class: `sign ${severity}`, 'aria-label': severity }, signs[severity]),
      element('span', { class: 'what' }, message),
      element('span', { class: 'count' }, formatNumber(count)),
    );
    if (first.length === 0) return line;
    const places = element(
      'div',
      { class: 'places', hidden: !this.open.has(kind) },
      ...first.map((place) =>
        element(
          'button',
          { class: 'place', type: 'button', onclick: () => this.owner.reveal(place.row) },
          element('span', { class: 'number' }, `${formatNumber(place.row + 1)}`),
          element('span', { class: 'muted' }, visibleText(place.message)),
        ),
      ),
    );
    const toggle = element('button', { class: 'plain fold', type: 'button', title: 'The first of them' });
    const show = (): void => {
      places.hidden = !this.open.has(kind);
      toggle.textContent = places.hidden ? '▸' : '▾';
      toggle.setAttribute('aria-expanded', String(!places.hidden));
    };
    toggle.setAttribute('aria-label', `The first: ${message}`);
    toggle.addEventListener('click', () => {
      if (!this.open.delete(kind)) this.open.add(kind);
      show();
    });
    show();
    return element('div', { class: 'problem-group' }, line, toggle, places);
  }

  private renderLabels({ labels }: Figures, filter: Filter): void {
    this.labels.hidden = labels.length === 0;
    const most = Math.max(1, ...labels.map(([, count]) => count));
    const total = labels.reduce((sum, [, count]) => sum + count, 0);
    fill(
      this.labels,
      element('h2', {}, 'Labels'),
      ...labels.map(([label, count]) => {
        const on = filter.label === label;
        const fillBar = element('span', { class: 'fill' });
        fillBar.style.width = `${(100 * count) / most}%`;
        return element(
          'button',
          {
            class: 'entry label',
            type: 'button',
            'aria-pressed': String(on),
            title: `${formatNumber(count)} records, ${formatPercent(count, total)}`,
            onclick: () => this.owner.filter({ label: on ? null : label }),
          },
          element('span', { class: 'what' }, visibleText(label)),
          element('span', { class: 'track' }, fillBar),
          element('span', { class: 'count' }, formatNumber(count)),
        );
      }),
    );
  }
}

/** Lines that are no JSON are counted long before their records are read. */
function withMalformed(found: readonly PreviewProblem[], checked: Figures['checked']): readonly PreviewProblem[] {
  const count = checked?.malformed ?? 0;
  const known = found.find(({ kind }) => kind === 'malformed');
  if (count <= (known?.count ?? 0)) return found;
  const first = known?.first ?? [];
  const others = found.filter(({ kind }) => kind !== 'malformed');
  return [{ kind: 'malformed', severity: 'error', message: problemTitles.malformed, count, first }, ...others];
}

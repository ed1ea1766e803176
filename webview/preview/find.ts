/** Find and filter: what rows are shown, and in which order. */

import { type Filter, noFilter, type PreviewState, type SetInfo } from '../../src/core/view/preview.js';
import { problemTitles } from '../../src/core/view/preview-problems.js';
import { visibleText } from '../../src/core/view/visible.js';
import { onTyped, Select } from '../shared/controls.js';
import { element, fill } from '../shared/dom.js';
import { formatNumber } from '../shared/text.js';

export interface Counted {
  readonly count: number;
  readonly complete: boolean;
  readonly searched: number | null;
  readonly problem: string | undefined;
}

export interface FindOwner {
  readonly state: PreviewState;
  readonly set: SetInfo | undefined;
  readonly counted: Counted;
  /** What lengths are counted in. */
  readonly unit: 'tokens' | 'characters';
  readonly records: number | undefined;
  filter(patch: Partial<Filter>): void;
  jump(row: number): void;
  stop(): void;
}

export class FindBar {
  readonly root: HTMLElement;
  private readonly text = element('input', {
    type: 'search',
    class: 'find',
    placeholder: 'Find in records',
    'aria-label': 'Find in records',
    spellcheck: 'false',
  });
  private readonly matchCase: HTMLButtonElement;
  private readonly regex: HTMLButtonElement;
  private readonly scope: Select;
  private readonly sort: Select;
  private readonly jump = element('input', {
    type: 'number',
    min: 1,
    class: 'jump',
    placeholder: 'Row',
    'aria-label': 'Go to row',
  });
  private readonly min = element('input', { type: 'number', min: 0, class: 'bound', placeholder: 'min' });
  private readonly max = element('input', { type: 'number', min: 0, class: 'bound', placeholder: 'max' });
  private readonly turns = element('input', { type: 'number', min: 1, class: 'bound', placeholder: 'any' });
  private readonly chips = element('span', { class: 'chips' });
  private readonly status = element('span', { class: 'muted status', role: 'status' });
  private readonly stop: HTMLButtonElement;
  private readonly more: HTMLElement;
  private readonly unit = element('span');

  constructor(private readonly owner: FindOwner) {
    const toggle = (text: string, title: string, act: () => void): HTMLButtonElement =>
      element('button', { class: 'plain toggle', type: 'button', title, 'aria-label': title, onclick: act }, text);
    this.matchCase = toggle('Aa', 'Match case', () => owner.filter({ matchCase: !owner.state.filter.matchCase }));
    this.regex = toggle('.*', 'Use a regular expression', () => owner.filter({ regex: !owner.state.filter.regex }));
    this.scope = new Select('in', (scope) => owner.filter({ scope }), 'Where to look');
    this.sort = new Select('Order', (sort) =>
      owner.filter({ sort: sort === 'shortest' || sort === 'longest' ? sort : 'file' }),
    );
    this.stop = element('button', { class: 'plain', type: 'button', onclick: () => owner.stop() }, 'Stop');
    onTyped([this.text], 250, () => owner.filter({ text: this.text.value }));
    onTyped([this.min, this.max, this.turns], 350, () =>
      owner.filter({ minTokens: numberOf(this.min), maxTokens: numberOf(this.max), turns: numberOf(this.turns) }),
    );
    this.jump.addEventListener('keydown', (event) => {
      const row = numberOf(this.jump);
      if (event.key === 'Enter' && row !== null && row > 0) owner.jump(row - 1);
    });
    this.min.setAttribute('aria-label', 'Shortest length');
    this.max.setAttribute('aria-label', 'Longest length');
    this.turns.setAttribute('aria-label', 'Number of turns');
    this.more = element(
      'span',
      { class: 'group' },
      element('span', { class: 'pick' }, this.unit, this.min, element('span', {}, '–'), this.max),
      element('span', { class: 'pick' }, element('span', {}, 'Turns'), this.turns),
    );
    this.root = element(
      'div',
      { class: 'findbar line wrap', role: 'search' },
      element('span', { class: 'box' }, this.text, this.matchCase, this.regex),
      this.scope.root,
      this.more,
      this.sort.root,
      element('span', { class: 'pick' }, element('span', {}, 'Go to'), this.jump),
      this.chips,
      element('span', { class: 'spacer' }),
      this.status,
      this.stop,
    );
  }

  focus(): void {
    this.text.focus();
    this.text.select();
  }

  render(): void {
    const { filter } = this.owner.state;
    const { set } = this.owner;
    keep(this.text, filter.text);
    keep(this.min, textOf(filter.minTokens));
    keep(this.max, textOf(filter.maxTokens));
    keep(this.turns, textOf(filter.turns));
    this.unit.textContent = this.owner.unit === 'tokens' ? 'Tokens' : 'Characters';
    this.matchCase.setAttribute('aria-pressed', String(filter.matchCase));
    this.regex.setAttribute('aria-pressed', String(filter.regex));
    this.scope.set(
      [
        { value: 'any', label: 'everything' },
        ...['system', 'user', 'assistant', 'tool'].map((role) => ({ value: `role:${role}`, label: role })),
        ...(set?.fields ?? []).map((name) => ({ value: `field:${name}`, label: `field ${visibleText(name)}` })),
      ],
      filter.scope,
    );
    this.sort.set(
      [
        { value: 'file', label: 'as in the file' },
        { value: 'longest', label: 'longest first' },
        { value: 'shortest', label: 'shortest first' },
      ],
      filter.sort,
    );
    this.renderChips(filter);
    this.renderStatus();
  }

  renderStatus(): void {
    const { counted, records, state } = this.owner;
    const filtered = JSON.stringify(state.filter) !== JSON.stringify(noFilter);
    this.stop.hidden = !filtered || counted.complete;
    this.status.classList.toggle('error', counted.problem !== undefined);
    this.text.setAttribute('aria-invalid', String(counted.problem !== undefined));
    if (counted.problem !== undefined) {
      this.status.textContent = visibleText(counted.problem);
      return;
    }
    if (!filtered) {
      const more = counted.complete ? '' : '+';
      this.status.textContent = `${formatNumber(counted.count)}${more} ${plural(counted.count)}`;
      return;
    }
    const of = counted.complete
      ? ` of ${formatNumber(Math.max(records ?? 0, counted.searched ?? 0))}`
      : ` · ${formatNumber(counted.searched ?? 0)} searched`;
    this.status.textContent = `${formatNumber(counted.count)} ${plural(counted.count)}${of}`;
  }

  private renderChips(filter: Filter): void {
    const chip = (text: string, patch: Partial<Filter>): HTMLElement =>
      element(
        'button',
        { class: 'chip on', type: 'button', title: 'Remove', onclick: () => this.owner.filter(patch) },
        `${visibleText(text)} ✕`,
      );
    const any = JSON.stringify(filter) !== JSON.stringify(noFilter);
    fill(
      this.chips,
      filter.problem === null ? null : chip(problemTitles[filter.problem], { problem: null }),
      filter.label === null ? null : chip(`Label: ${filter.label}`, { label: null }),
      any
        ? element('button', { class: 'plain', type: 'button', onclick: () => this.owner.filter(noFilter) }, 'Show all')
        : null,
    );
  }
}

function plural(count: number): string {
  return count === 1 ? 'record' : 'records';
}

function numberOf(input: HTMLInputElement): number | null {
  const value = Number(input.value);
  return input.value.trim() === '' || !Number.isInteger(value) || value < 0 ? null : value;
}

function textOf(value: number | null): string {
  return value === null ? '' : String(value);
}

/** What a person is typing stays. */
function keep(input: HTMLInputElement, value: string): void {
  if (document.activeElement !== input && input.value !== value) input.value = value;
}

/** The answer beside another one: what it is compared with, and the words that differ. */

import type { Base, PromptDetail } from '../../src/core/view/samples.js';
import { visibleText } from '../../src/core/view/visible.js';
import { diffWords } from '../../src/core/view/word-diff.js';
import { Select } from '../shared/controls.js';
import { element, fill } from '../shared/dom.js';
import { icon } from '../shared/icons.js';
import { appendText, formatNumber } from '../shared/text.js';
import type { View } from './view.js';

/** Longer texts are left to the editor's own diff. */
const longestDiff = 400_000;

export class CompareView {
  readonly root: HTMLElement;
  private readonly select: Select;
  private readonly about = element('span', { class: 'muted' });
  private readonly body = element('div', { class: 'diff text', dir: 'auto' });
  private readonly button: HTMLButtonElement;

  constructor(private readonly view: View) {
    this.select = new Select('Compared with', (value) => view.change({ base: parse(value) }));
    this.button = element(
      'button',
      {
        class: 'action',
        type: 'button',
        title: 'Show both in the editor, side by side',
        onclick: () => view.send({ type: 'openDiff' }),
      },
      icon('diff'),
      'Open in diff editor',
    );
    this.root = element(
      'section',
      { class: 'block compare', 'aria-label': 'Comparison' },
      element(
        'header',
        { class: 'block-head' },
        this.select.root,
        this.about,
        element('span', { class: 'spacer' }),
        this.button,
      ),
      this.body,
    );
  }

  render(detail: PromptDetail): void {
    const { view } = this;
    this.select.set(
      [
        { value: 'previous', label: 'the evaluation before' },
        { value: 'first', label: 'the first evaluation' },
        { value: 'reference', label: 'the reference' },
        ...(view.runs.length < 2 ? [] : view.runs).map(({ key, label }) => ({
          value: `run:${key}`,
          label: `${visibleText(label)}, last answer`,
        })),
        { value: 'none', label: 'nothing' },
      ],
      format(view.query.base),
    );
    const other = this.other(detail);
    const answer = detail.shown?.answer ?? null;
    this.about.textContent = other?.name ?? '';
    this.button.hidden = other === undefined || answer === null;
    this.body.hidden = view.query.base.kind === 'none';
    if (other === undefined || answer === null) {
      fill(this.body, element('p', { class: 'muted' }, this.nothing(detail)));
      return;
    }
    fill(this.body, ...this.difference(other.text, answer));
  }

  private other({ base, reference }: PromptDetail): { readonly name: string; readonly text: string } | undefined {
    if (this.view.query.base.kind === 'reference')
      return reference === null ? undefined : { name: '', text: reference };
    if (base === null || base.answer === null) return undefined;
    return { name: `step ${formatNumber(base.step)}`, text: base.answer };
  }

  private nothing({ shown, source }: PromptDetail): string {
    if (shown?.answer === undefined || shown.answer === null) return 'There is no answer to compare.';
    const { base } = this.view.query;
    switch (base.kind) {
      case 'previous':
        return 'Nothing was answered before: this is the first answer.';
      case 'first':
        return 'This is the first answer.';
      case 'run':
        return base.run === shown.run
          ? 'This is an answer of that very run.'
          : 'That run gave no answer to this record.';
      case 'reference':
        return source.kind === 'reading' ? 'Reading the data set…' : 'The reference is not known.';
      case 'none':
        return '';
    }
  }

  private difference(before: string, after: string): (Node | string)[] {
    if (before === after) {
      const same = element('p', { class: 'muted' }, icon('check'), ' The same, word for word.');
      return [same];
    }
    if (before.length + after.length > longestDiff) return ['These texts are too long to be compared here.'];
    return diffWords(before, after).map(({ kind, text }) => {
      const part = element(kind === 'same' ? 'span' : kind === 'removed' ? 'del' : 'ins', { class: kind });
      if (kind !== 'same')
        part.append(element('span', { class: 'visually-hidden' }, kind === 'removed' ? ' removed: ' : ' added: '));
      appendText(part, kind === 'same' ? text : text.replaceAll('\n', '⏎\n'));
      return part;
    });
  }
}

function format(base: Base): string {
  return base.kind === 'run' ? `run:${base.run}` : base.kind;
}

function parse(value: string): Base {
  if (value.startsWith('run:')) return { kind: 'run', run: value.slice('run:'.length) };
  return value === 'reference' || value === 'previous' || value === 'first' ? { kind: value } : { kind: 'none' };
}

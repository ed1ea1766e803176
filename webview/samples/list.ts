/**
 * The records: rows of one height, of which only those in sight are in the page and asked for. Up and down move the selection, Enter goes to
 * what is selected.
 */

import type { PromptRow } from '../../src/core/view/samples.js';
import { element } from '../shared/dom.js';
import { oncePerFrame } from '../shared/host.js';
import { appendText, formatNumber } from '../shared/text.js';
import { markRow } from './marks.js';
import { figure, type ListMessage, type View, verdictNames } from './view.js';

const rowHeight = 50;
const overscan = 8;
/** Rows are asked for in windows that begin at multiples of this. */
const windowStep = 50;
const windowSize = 200;

export class PromptListView {
  readonly root: HTMLElement;
  private readonly items = element('div', { class: 'items', role: 'presentation' });
  private readonly made = new Map<number, HTMLElement>();
  private rows = new Map<number, PromptRow>();
  private version = -1;
  private asked = '';
  /** Whether the selected row is to be brought into view when the list is drawn next. */
  private seeking = false;
  private readonly ask = oncePerFrame(() => this.render());

  constructor(private readonly view: View) {
    this.root = element(
      'div',
      { class: 'list', role: 'listbox', tabindex: 0, 'aria-label': 'Records of the evaluation set' },
      this.items,
    );
    this.root.addEventListener('scroll', this.ask, { passive: true });
    this.root.addEventListener('keydown', (event) => this.key(event));
    this.root.addEventListener('click', (event) => {
      const row = event.target instanceof Element ? event.target.closest<HTMLElement>('[data-position]') : null;
      if (row?.dataset.position !== undefined) view.select(Number(row.dataset.position));
    });
    new ResizeObserver(this.ask).observe(this.root);
  }

  /** The list is another; its old rows are seen until the new ones are there. */
  take(list: ListMessage): void {
    if (this.version === -1) this.seek();
    this.version = list.version;
    this.asked = '';
    this.ask();
  }

  /** The next list is one that a person asked for: what is selected is to be seen in it. */
  seek(): void {
    this.seeking = true;
  }

  takeRows(version: number, from: number, rows: readonly PromptRow[]): void {
    if (version !== this.version) return;
    this.rows = new Map(rows.map((row, i) => [from + i, row]));
    for (const item of this.made.values()) item.remove();
    this.made.clear();
    this.render();
  }

  /** Another row is the selected one. */
  selected(): void {
    for (const item of this.made.values()) this.mark(item);
    this.root.setAttribute('aria-activedescendant', idOf(this.view.detail?.key ?? ''));
  }

  reveal(position: number): void {
    const { root } = this;
    const [top, bottom] = [position * rowHeight, (position + 1) * rowHeight];
    this.items.style.height = `${(this.view.list?.count ?? 0) * rowHeight}px`;
    if (top < root.scrollTop) root.scrollTop = top;
    else if (bottom > root.scrollTop + root.clientHeight) root.scrollTop = bottom - root.clientHeight;
  }

  private key(event: KeyboardEvent): void {
    const count = this.view.list?.count ?? 0;
    if (count === 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = this.view.detail?.position ?? -1;
    const page = Math.max(1, Math.floor(this.root.clientHeight / rowHeight) - 1);
    const targets: Readonly<Record<string, number>> = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: count - 1,
    };
    const target = targets[event.key];
    if (target !== undefined) {
      const position = Math.max(0, Math.min(count - 1, target));
      this.reveal(position);
      this.view.select(position);
    } else if (event.key === 'Enter') this.view.enterDetail();
    else return;
    event.preventDefault();
  }

  private render(): void {
    const { root, view } = this;
    const count = view.list?.count ?? 0;
    this.items.style.height = `${count * rowHeight}px`;
    if (this.seeking && root.clientHeight > 0) {
      this.seeking = false;
      this.reveal(view.list?.position ?? 0);
    }
    const first = Math.max(0, Math.floor(root.scrollTop / rowHeight) - overscan);
    const last = Math.min(count, Math.ceil((root.scrollTop + root.clientHeight) / rowHeight) + overscan);
    for (const [position, item] of this.made) {
      if (position >= first && position < last) continue;
      item.remove();
      this.made.delete(position);
    }
    for (let position = first; position < last; position++) {
      if (this.made.has(position)) continue;
      const row = this.rows.get(position);
      const item = row === undefined ? waiting() : this.item(row, position, count);
      item.style.transform = `translateY(${position * rowHeight}px)`;
      this.made.set(position, item);
      this.items.append(item);
    }
    this.request(first, last);
  }

  private request(first: number, last: number): void {
    if (last <= first || this.version < 0) return;
    const from = Math.max(0, Math.floor(first / windowStep) * windowStep - windowStep);
    const key = `${this.version}:${from}`;
    if (key === this.asked) return;
    this.asked = key;
    this.view.send({ type: 'rows', version: this.version, from, count: windowSize });
  }

  private item(row: PromptRow, position: number, count: number): HTMLElement {
    const { title, answer, verdicts, loss, record } = row;
    const checked = this.view.list?.checked === true;
    const heading = element('div', { class: 'row-title', dir: 'auto' });
    if (title === null) heading.append(element('span', { class: 'muted' }, `Record ${formatNumber(record)}`));
    else if (title === '') heading.append(element('span', { class: 'muted' }, 'no prompt'));
    else appendText(heading, title);
    const said = element('span', { class: 'row-answer', dir: 'auto' });
    if (answer === null) said.append('not asked');
    else if (answer.trim() === '') said.append('empty answer');
    else appendText(said, answer.replace(/\s+/g, ' '));
    said.classList.toggle('nothing', answer === null || answer.trim() === '');
    const lossTitle = 'Loss of this record, at the last evaluation';
    const item = element(
      'div',
      {
        class: 'row',
        role: 'option',
        id: idOf(row.key),
        'data-position': position,
        'data-key': row.key,
        'aria-posinset': position + 1,
        'aria-setsize': count,
      },
      heading,
      element(
        'div',
        { class: 'row-facts' },
        // Where nothing is checked there is no course to see.
        checked ? markRow(verdicts) : null,
        checked ? element('span', { class: 'visually-hidden' }, courseText(verdicts)) : null,
        said,
        loss === null ? null : element('span', { class: 'row-loss', title: lossTitle }, figure(loss)),
      ),
    );
    this.mark(item);
    return item;
  }

  private mark(item: HTMLElement): void {
    const is = item.dataset.key !== undefined && item.dataset.key === this.view.detail?.key;
    item.setAttribute('aria-selected', String(is));
  }
}

function waiting(): HTMLElement {
  const parts = ['row-title', 'row-facts'].map((name) => element('div', { class: name }));
  return element('div', { class: 'row waiting', 'aria-hidden': 'true' }, ...parts);
}

function courseText(verdicts: PromptRow['verdicts']): string {
  const said = verdicts.slice(-12).map((verdict) => verdictNames[verdict]);
  return `${said.join(', ')}. `;
}

/** Names of files may hold anything; an id must hold no blanks. */
function idOf(key: string): string {
  return `record-${encodeURIComponent(key)}`;
}

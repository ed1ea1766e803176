/** The list of rows: only those in sight are elements, and only those in sight and near it are asked for. */

import type { PreviewRow } from '../../src/core/view/preview.js';
import { visibleText } from '../../src/core/view/visible.js';
import { element } from '../shared/dom.js';
import { oncePerFrame } from '../shared/host.js';

const rowHeight = 24;
const page = 50;
const mostPages = 40;
/** Browsers give no element more height than about 33 million pixels: longer lists scroll by share. */
const mostHeight = 15_000_000;

export interface ListHost {
  ask(version: number, from: number, count: number): void;
  select(row: PreviewRow, position: number): void;
}

export class RowList {
  readonly element: HTMLElement;
  private readonly inner = element('div');
  private readonly pages = new Map<number, readonly PreviewRow[]>();
  private readonly asked = new Set<number>();
  private count = 0;
  private version = 0;
  private selected = 0;
  private readonly draw = oncePerFrame(() => this.render());

  constructor(private readonly host: ListHost) {
    this.element = element('div', {
      class: 'list',
      role: 'listbox',
      tabindex: 0,
      'aria-label': 'Records',
      onscroll: () => this.draw(),
      onkeydown: (event) => this.key(event),
    });
    this.element.append(this.inner);
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  get position(): number {
    return this.selected;
  }

  /** Another list: what was known of rows is forgotten. */
  reset(count: number, position: number): void {
    this.version++;
    this.pages.clear();
    this.asked.clear();
    this.resize(count);
    this.go(Math.max(0, Math.min(position, count - 1)));
  }

  /** More rows became known at the end. */
  resize(count: number): void {
    if (count !== this.count) {
      // The last page was not whole.
      const last = Math.floor(this.count / page);
      this.pages.delete(last);
      this.asked.delete(last);
    }
    this.count = count;
    this.inner.style.height = `${Math.min(mostHeight, count * rowHeight)}px`;
    this.draw();
  }

  receive(version: number, from: number, rows: readonly PreviewRow[]): void {
    if (version !== this.version) return;
    const at = from / page;
    this.pages.set(at, rows);
    this.asked.delete(at);
    for (const old of this.pages.keys()) {
      if (this.pages.size <= mostPages) break;
      if (Math.abs(old - at) > 4) this.pages.delete(old);
    }
    this.draw();
    const chosen = this.rowAt(this.selected);
    if (chosen !== undefined && Math.floor(this.selected / page) === at) this.host.select(chosen, this.selected);
  }

  go(position: number): void {
    if (this.count === 0) return;
    this.selected = Math.max(0, Math.min(this.count - 1, position));
    const top = this.topOf(this.selected);
    const { scrollTop, clientHeight } = this.element;
    if (top < scrollTop || top + rowHeight > scrollTop + clientHeight) {
      this.element.scrollTop = Math.max(0, top - clientHeight / 2);
    }
    const row = this.rowAt(this.selected);
    if (row !== undefined) this.host.select(row, this.selected);
    else this.ask(Math.floor(this.selected / page));
    this.draw();
  }

  private rowAt(position: number): PreviewRow | undefined {
    return this.pages.get(Math.floor(position / page))?.[position % page];
  }

  /** 1 for lists that fit; how many pixels of rows a pixel of scrolling stands for. */
  private get scale(): number {
    return Math.max(1, (this.count * rowHeight) / mostHeight);
  }

  private topOf(position: number): number {
    return (position * rowHeight) / this.scale;
  }

  private render(): void {
    const { scrollTop, clientHeight } = this.element;
    const first = Math.max(0, Math.floor((scrollTop * this.scale) / rowHeight) - 2);
    const shown = Math.min(this.count - first, Math.ceil(clientHeight / rowHeight) + 5);
    const base = Math.max(0, scrollTop - ((scrollTop * this.scale) % rowHeight) - 2 * rowHeight);
    const rows: HTMLElement[] = [];
    for (let i = 0; i < shown; i++) {
      const position = first + i;
      const top = this.scale === 1 ? position * rowHeight : base + i * rowHeight;
      rows.push(this.rowElement(position, top));
    }
    this.inner.replaceChildren(...rows);
    for (let at = Math.floor(first / page); at <= Math.floor((first + shown) / page); at++) this.ask(at);
  }

  private ask(at: number): void {
    if (this.pages.has(at) || this.asked.has(at) || at * page >= this.count) return;
    this.asked.add(at);
    this.host.ask(this.version, at * page, page);
  }

  private rowElement(position: number, top: number): HTMLElement {
    const row = this.rowAt(position);
    const text = row === undefined ? '…' : (row.problem ?? visibleText(row.summary.replace(/\s+/g, ' ')));
    const made = element(
      'div',
      {
        class: 'row',
        role: 'option',
        'aria-selected': position === this.selected ? 'true' : 'false',
        'data-row': row?.row,
        onclick: () => this.go(position),
      },
      element('span', { class: 'number' }, row === undefined ? '' : row.row + 1),
      element('span', { class: row?.problem === undefined ? 'text' : 'text bad' }, text),
    );
    made.style.top = `${top}px`;
    return made;
  }

  private key(event: Event): void {
    if (!(event instanceof KeyboardEvent)) return;
    const screen = Math.max(1, Math.floor(this.element.clientHeight / rowHeight) - 1);
    const steps: Readonly<Record<string, number>> = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: screen,
      PageUp: -screen,
      Home: -this.count,
      End: this.count,
    };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    this.go(this.selected + step);
  }
}

/**
 * A list of any number of rows of any heights. Only what is seen is in the page; a row is an anchor and the others stand below it, so that
 * heights need not be known before they are seen. The scroll bar's own length is bounded: browsers have no elements of a billion pixels.
 */

import { element } from '../shared/dom.js';
import { oncePerFrame } from '../shared/host.js';

export interface ListSource {
  readonly count: number;
  make(index: number): HTMLElement;
  /** Whether the row is there, and not only on its way. */
  ready(index: number): boolean;
  /** Rows that will be shown next. */
  want(from: number, to: number): void;
  /** Told which rows are in the page, after every change. */
  shown(from: number, to: number): void;
}

const overscan = 600;
const guessedHeight = 120;
const longestBar = 4_000_000;
const step = 60;
/** So long the rows that are seen stay, when the bar is moved to others that are on their way: less of a flicker. */
const patienceMs = 150;

export class VirtualList {
  readonly root: HTMLElement;
  private readonly items = element('div', { class: 'items', role: 'list', 'aria-label': 'Records' });
  private readonly spacer = element('div');
  private readonly bar = element('div', { class: 'bar', 'aria-hidden': 'true' }, this.spacer);
  private readonly made = new Map<number, HTMLElement>();
  /** Rows to be made again when they are drawn next; until then they are seen as they are. */
  private readonly stale = new Set<number>();
  /** The row at the top, and how many of its pixels are above. */
  private top = 0;
  private offset = 0;
  private end = 0;
  private atEnd = false;
  private barAt = 0;
  /** Where the bar was moved to, while the rows there are on their way. */
  private jump: number | undefined;
  private jumpTimer: number | undefined;
  private readonly ask = oncePerFrame(() => this.render());

  constructor(private readonly source: ListSource) {
    this.root = element('div', { class: 'rows', tabindex: '0' }, this.items, this.bar);
    this.root.addEventListener('wheel', (event) => this.wheel(event), { passive: false });
    this.root.addEventListener('keydown', (event) => this.key(event));
    this.bar.addEventListener('scroll', () => this.barMoved());
    new ResizeObserver(this.ask).observe(this.root);
    // Tab brings rows into view that are half outside.
    this.items.addEventListener('focusin', (event) => this.follow(event));
    this.root.addEventListener('scroll', () => {
      this.root.scrollTop = 0;
    });
  }

  get first(): number {
    return this.top;
  }

  /** Rows in the page. */
  get range(): { from: number; to: number } {
    return { from: this.top, to: this.end };
  }

  /** Brings a row to the top. */
  reveal(index: number): void {
    this.endJump();
    this.top = Math.max(0, Math.min(index, this.source.count - 1));
    this.offset = 0;
    this.ask();
  }

  /** The rows are others, or their number is another. */
  refresh(): void {
    this.ask();
  }

  /** Makes rows again: all of them, or one. */
  remake(index?: number): void {
    if (index !== undefined) this.stale.add(index);
    else for (const made of this.made.keys()) this.stale.add(made);
    this.ask();
  }

  private move(pixels: number): void {
    this.land();
    if (pixels > 0 && this.atEnd) return;
    this.offset += pixels;
    this.render();
  }

  private wheel(event: WheelEvent): void {
    if (event.ctrlKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) return;
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 20 : event.deltaMode === 2 ? this.root.clientHeight : 1;
    this.move(event.deltaY * unit);
  }

  private key(event: KeyboardEvent): void {
    if (event.target !== this.root) return;
    const page = this.root.clientHeight * 0.9;
    switch (event.key) {
      case 'ArrowDown':
        this.move(step);
        break;
      case 'ArrowUp':
        this.move(-step);
        break;
      case 'PageDown':
      case ' ':
        this.move(page);
        break;
      case 'PageUp':
        this.move(-page);
        break;
      case 'Home':
        this.reveal(0);
        break;
      case 'End':
        this.toEnd();
        break;
      default:
        return;
    }
    event.preventDefault();
  }

  private toEnd(): void {
    this.endJump();
    this.top = Math.max(0, this.source.count - 1);
    this.offset = 0;
    this.render();
  }

  private follow(event: FocusEvent): void {
    if (!(event.target instanceof HTMLElement)) return;
    this.root.scrollTop = 0;
    const box = event.target.getBoundingClientRect();
    const view = this.root.getBoundingClientRect();
    if (box.top < view.top) this.move(box.top - view.top - 20);
    else if (box.bottom > view.bottom) this.move(Math.min(box.bottom - view.bottom + 20, box.top - view.top));
  }

  private barMoved(): void {
    const at = this.bar.scrollTop;
    if (Math.abs(at - this.barAt) < 2) return;
    this.barAt = at;
    const room = this.spacer.offsetHeight - this.bar.clientHeight;
    if (room <= 0) return;
    const share = at / room;
    if (share > 0.9999) {
      this.toEnd();
      return;
    }
    this.jump = Math.min(this.source.count - 1, Math.floor(share * this.source.count));
    if (this.source.ready(this.jump)) this.land();
    else {
      this.source.want(this.jump, this.jump + Math.max(10, this.end - this.top));
      this.jumpTimer ??= window.setTimeout(() => this.land(), patienceMs);
    }
  }

  /** Goes to where the bar was moved. */
  private land(): void {
    const { jump } = this;
    this.endJump();
    if (jump === undefined) return;
    this.top = jump;
    this.offset = 0;
    this.render();
  }

  private endJump(): void {
    window.clearTimeout(this.jumpTimer);
    this.jumpTimer = undefined;
    this.jump = undefined;
  }

  private render(): void {
    const { count } = this.source;
    const height = this.root.clientHeight;
    // Out of sight nothing has a height; what is asked for then comes when the list is seen (the observer of its size tells).
    if (height === 0) return;
    if (this.jump !== undefined) {
      if (this.source.ready(this.jump)) this.land();
      return;
    }
    this.top = Math.max(0, Math.min(this.top, count - 1));
    if (count === 0) {
      for (const item of this.made.values()) item.remove();
      this.made.clear();
      this.end = 0;
      this.placeBar(height);
      this.source.shown(0, 0);
      return;
    }
    // Upwards, until the anchor's offset is one inside it.
    while (this.offset < 0 && this.top > 0) {
      this.top--;
      this.offset += this.heightOf(this.top);
    }
    if (this.offset < 0) this.offset = 0;
    while (this.top < count - 1 && this.offset >= this.heightOf(this.top)) {
      this.offset -= this.heightOf(this.top);
      this.top++;
    }
    const { end, bottom } = this.measure(height);
    this.atEnd = end === count && bottom <= height + 1;
    if (end === count && bottom < height) this.pullDown(height - bottom);
    this.place(height);
  }

  /** From the anchor on: the first row below the view, and where the last one in it ends. */
  private measure(height: number): { end: number; bottom: number } {
    const { count } = this.source;
    let y = -this.offset;
    let index = this.top;
    while (index < count && y < height) y += this.heightOf(index++);
    return { end: index, bottom: y };
  }

  /** Fills the space under the last row. */
  private pullDown(space: number): void {
    let left = space;
    while (left > 0) {
      if (this.offset > 0) {
        const part = Math.min(left, this.offset);
        this.offset -= part;
        left -= part;
      } else if (this.top > 0) {
        this.top--;
        this.offset = this.heightOf(this.top);
      } else return;
    }
  }

  private place(height: number): void {
    const { count } = this.source;
    let y = -this.offset;
    let index = this.top;
    const kept = new Set<number>();
    while (index < count && y < height + overscan) {
      const item = this.item(index);
      item.style.transform = `translateY(${Math.round(y)}px)`;
      y += Math.max(1, item.offsetHeight);
      kept.add(index++);
    }
    // One above, so that going up has no seam.
    if (this.top > 0) {
      const item = this.item(this.top - 1);
      item.style.transform = `translateY(${Math.round(-this.offset - item.offsetHeight)}px)`;
      kept.add(this.top - 1);
    }
    for (const [made, item] of this.made) {
      if (kept.has(made)) continue;
      item.remove();
      this.made.delete(made);
    }
    this.end = index;
    this.placeBar(height);
    this.source.shown(this.top, index);
  }

  private placeBar(height: number): void {
    const { count } = this.source;
    const shown = Math.max(1, this.made.size);
    let sum = 0;
    for (const item of this.made.values()) sum += item.offsetHeight;
    const mean = this.made.size === 0 ? guessedHeight : sum / shown;
    const total = Math.min(longestBar, Math.max(count * mean, height));
    const needed = count > 0 && !(this.top === 0 && this.offset === 0 && this.atEnd);
    this.bar.classList.toggle('idle', !needed);
    if (Math.abs(this.spacer.offsetHeight - total) > total * 0.2) this.spacer.style.height = `${total}px`;
    const room = this.spacer.offsetHeight - height;
    const at = this.atEnd ? room : ((this.top + this.offset / Math.max(1, mean)) / Math.max(1, count)) * room;
    if (Math.abs(at - this.bar.scrollTop) > 1) {
      this.bar.scrollTop = at;
      this.barAt = this.bar.scrollTop;
    }
  }

  private heightOf(index: number): number {
    return Math.max(1, this.item(index).offsetHeight);
  }

  private item(index: number): HTMLElement {
    const known = this.made.get(index);
    const stale = this.stale.delete(index);
    if (known !== undefined && !stale) return known;
    const made = this.source.make(index);
    made.setAttribute('role', 'listitem');
    made.setAttribute('aria-setsize', String(this.source.count));
    made.setAttribute('aria-posinset', String(index + 1));
    this.made.set(index, made);
    if (known === undefined) this.items.append(made);
    else known.replaceWith(made);
    return made;
  }
}

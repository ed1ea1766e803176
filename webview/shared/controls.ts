/** Small controls that several parts use. */

import { element, fill } from './dom.js';

export interface Option {
  readonly value: string;
  readonly label: string;
}

/** A labelled drop-down whose options can change. */
export class Select {
  readonly root: HTMLElement;
  readonly input: HTMLSelectElement;
  private shown = '';

  constructor(label: string, change: (value: string) => void, title = label) {
    this.input = element('select', { title, 'aria-label': label });
    this.input.addEventListener('change', () => change(this.input.value));
    this.root = element('label', { class: 'pick' }, element('span', {}, label), this.input);
  }

  set(options: readonly Option[], value: string): void {
    const key = JSON.stringify(options);
    if (key !== this.shown) {
      this.shown = key;
      fill(this.input, ...options.map((one) => element('option', { value: one.value }, one.label)));
    }
    this.input.value = value;
  }
}

/** One of a few, all seen. */
export class Segments<T extends string> {
  readonly root: HTMLElement;
  private readonly buttons: [T, HTMLElement][];

  constructor(label: string, options: readonly (readonly [T, string, string])[], change: (value: T) => void) {
    this.buttons = options.map(([value, text, title]): [T, HTMLElement] => [
      value,
      element('button', { type: 'button', class: 'segment', title, onclick: () => change(value) }, text),
    ]);
    this.root = element(
      'div',
      { class: 'segments', role: 'group', 'aria-label': label },
      ...this.buttons.map(([, button]) => button),
    );
  }

  set(value: T): void {
    for (const [one, button] of this.buttons) button.setAttribute('aria-pressed', String(one === value));
  }
}

interface Debounced {
  (): void;
  /** What was asked for is done at once. */
  readonly flush: () => void;
}

/** Calls the work when nothing was asked for a while. */
export function debounced(work: () => void, milliseconds: number): Debounced {
  let timer: number | undefined;
  const flush = (): void => {
    if (timer === undefined) return;
    clearTimeout(timer);
    timer = undefined;
    work();
  };
  const ask = (): void => {
    clearTimeout(timer);
    timer = window.setTimeout(flush, milliseconds);
  };
  return Object.assign(ask, { flush });
}

/** Takes what is typed after a pause; at once where the field is left, for it is drawn anew then and what was typed would be lost. */
export function onTyped(inputs: readonly HTMLInputElement[], milliseconds: number, take: () => void): void {
  const later = debounced(take, milliseconds);
  for (const input of inputs) {
    input.addEventListener('input', later);
    input.addEventListener('change', later.flush);
  }
}

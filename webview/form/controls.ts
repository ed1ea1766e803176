/** The toolkit's controls behind one face: show a value, tell of a change. A control in use is never written over. */

import type { Choice } from '../../src/core/view/form.js';
import { visibleText } from '../../src/core/view/visible.js';
import { element } from '../shared/dom.js';
import type { Dropdown, RadioGroup, TextField } from '../shared/toolkit.js';

export interface Control {
  readonly element: HTMLElement;
  /** What the chosen value means, where there is more to say. */
  readonly detail: string | undefined;
  show(value: string): void;
  offer(choices: readonly Choice[]): void;
}

export class TextControl implements Control {
  readonly element: TextField;
  readonly detail = undefined;
  private sent: string | undefined;

  constructor(onChange: (value: string) => void) {
    this.element = element('vscode-text-field', { spellcheck: 'false' }) as TextField;
    this.element.addEventListener('input', () => {
      this.sent = this.element.value;
      onChange(this.element.value);
    });
    this.element.addEventListener('blur', () => {
      this.sent = undefined;
    });
  }

  show(value: string): void {
    // While a person types, answers to earlier letters arrive late.
    if (this.sent !== undefined && document.activeElement === this.element) return;
    if (this.element.value !== value) this.element.value = value;
  }

  offer(): void {}
}

export class RadioControl implements Control {
  readonly element: RadioGroup;
  private value = '';

  constructor(
    private readonly choices: readonly Choice[],
    onChange: (value: string) => void,
  ) {
    const radios = choices.map(({ value, label, detail }) => element('vscode-radio', { value, title: detail }, label));
    this.element = element('vscode-radio-group', {}, ...radios) as RadioGroup;
    this.element.addEventListener('change', () => {
      if (this.element.value === this.value) return;
      this.value = this.element.value;
      onChange(this.value);
    });
  }

  get detail(): string | undefined {
    return this.choices.find(({ value }) => value === this.value)?.detail;
  }

  show(value: string): void {
    this.value = value;
    if (this.element.value !== value) this.element.value = value;
  }

  offer(): void {}
}

export class ChoiceControl implements Control {
  readonly element: Dropdown;
  private choices: readonly Choice[] = [];
  private value = '';

  /** @param special a choice that does something instead of being chosen */
  constructor(onChange: (value: string) => void, special?: string) {
    this.element = element('vscode-dropdown', {}) as Dropdown;
    this.element.addEventListener('change', () => {
      const { value } = this.element;
      if (value === this.value) return;
      if (value === special) this.element.value = this.value;
      else this.value = value;
      onChange(value);
    });
  }

  get detail(): string | undefined {
    return this.choices.find(({ value }) => value === this.value)?.detail;
  }

  offer(choices: readonly Choice[]): void {
    if (JSON.stringify(choices) === JSON.stringify(this.choices)) return;
    this.choices = choices;
    this.fill();
  }

  show(value: string): void {
    const known = this.choices.some((choice) => choice.value === value);
    if (!known) this.offer([{ value, label: visibleText(value), detail: '' }, ...this.choices]);
    if (value === this.value && this.element.value === value) return;
    this.value = value;
    this.element.value = value;
  }

  private fill(): void {
    const options = this.choices.map(({ value, label }) =>
      element('vscode-option', { value, selected: value === this.value }, visibleText(label)),
    );
    this.element.replaceChildren(...options);
    // The list box learns of its options after this task.
    queueMicrotask(() => {
      this.element.value = this.value;
    });
  }
}

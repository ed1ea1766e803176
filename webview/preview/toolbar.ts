/** The head of the page: what is shown, by which model's tokenizer and template, under which mask. */

import type { LossOn } from '../../src/core/mask.js';
import { formatBytes } from '../../src/core/units.js';
import type { FromPreview, PreviewState, SetInfo, ViewKind } from '../../src/core/view/preview.js';
import { visibleText } from '../../src/core/view/visible.js';
import { onTyped, Segments, Select } from '../shared/controls.js';
import { element, fill } from '../shared/dom.js';
import { formatNumber } from '../shared/text.js';

const shortest = 16;
const formatNames: Readonly<Record<string, string>> = {
  alpaca: 'Alpaca',
  sharegpt: 'ShareGPT',
  messages: 'Messages',
  custom: 'Prompt and completion',
  text: 'Text',
};

export function formatName(format: string): string {
  return formatNames[format] ?? format;
}

export interface ToolbarOwner {
  readonly state: PreviewState;
  readonly set: SetInfo | undefined;
  change(patch: Partial<PreviewState>): void;
  send(message: FromPreview): void;
  toggleFields(): void;
  toggleOverview(): void;
  readonly overviewShown: boolean;
  readonly fieldsShown: boolean;
}

export class Toolbar {
  readonly root: HTMLElement;
  private readonly title = element('h1');
  private readonly about = element('span', { class: 'muted about' });
  private readonly fields: HTMLButtonElement;
  private readonly overview: HTMLButtonElement;
  private readonly train: HTMLButtonElement;
  private readonly views: Segments<ViewKind>;
  private readonly loss: Segments<LossOn>;
  private readonly model: Select;
  private readonly template: Select;
  private readonly slider = element('input', { type: 'range', min: 0, max: 1000, 'aria-label': 'max_length' });
  private readonly length = element('input', { type: 'number', min: 1, class: 'length', 'aria-label': 'max_length' });
  private readonly modelProblem = element('p', { class: 'problem', hidden: true });
  private longest = 4096;

  constructor(private readonly owner: ToolbarOwner) {
    const send = (message: FromPreview): void => owner.send(message);
    const button = (text: string, title: string, act: () => void, kind = 'action'): HTMLButtonElement =>
      element('button', { class: kind, type: 'button', title, onclick: act }, text);
    this.fields = button('Fields…', 'How the fields of a record are read', () => owner.toggleFields());
    this.overview = button('Overview', 'Figures, lengths, labels and problems', () => owner.toggleOverview());
    this.train = button(
      'Fine-tune…',
      'Train a model on what is shown',
      () => send({ type: 'fineTune' }),
      'action main',
    );
    this.views = new Segments(
      'View',
      [
        ['chat', 'Chat', 'Who says what'],
        ['tokens', 'Tokens', 'What the model is trained on, token by token'],
        ['raw', 'Raw', 'The record as it stands in the file'],
      ],
      (view) => owner.change({ view }),
    );
    this.loss = new Segments(
      'Loss on',
      [
        ['completion', 'Completion', 'Only what the assistant says is trained on'],
        ['all', 'All', 'Every token is trained on'],
      ],
      (lossOn) => owner.change({ lossOn }),
    );
    this.model = new Select('Model', (value) =>
      value === 'pick:'
        ? this.again(() => send({ type: 'pick', what: 'model' }))
        : send({ type: 'model', model: value }),
    );
    this.template = new Select('Template', (value) =>
      this.again(() => send({ type: 'pick', what: value === 'own' ? 'ownTemplate' : 'template' })),
    );
    onTyped([this.length], 250, () => {
      const value = Number(this.length.value);
      if (Number.isInteger(value) && value > 0) owner.change({ maxLength: Math.min(value, this.longest) });
    });
    this.slider.addEventListener('input', () => owner.change({ maxLength: this.lengthAt(Number(this.slider.value)) }));
    this.root = element(
      'header',
      { class: 'head' },
      element(
        'div',
        { class: 'line' },
        element('div', { class: 'name' }, this.title, this.about),
        element('span', { class: 'spacer' }),
        this.fields,
        this.overview,
        button('Save view…', 'Write the rows shown to a new data set', () => send({ type: 'save' })),
        this.train,
      ),
      element(
        'div',
        { class: 'line wrap' },
        this.views.root,
        this.model.root,
        this.template.root,
        element('span', { class: 'pick' }, element('span', {}, 'Loss on'), this.loss.root),
        element('span', { class: 'pick' }, element('span', {}, 'max_length'), this.slider, this.length),
      ),
      this.modelProblem,
    );
  }

  /** @param longest tokens of the longest record, where that is known */
  render(longest: number | undefined): void {
    const { state, set } = this.owner;
    this.views.set(state.view);
    this.loss.set(state.lossOn);
    this.overview.setAttribute('aria-pressed', String(this.owner.overviewShown));
    this.fields.setAttribute('aria-pressed', String(this.owner.fieldsShown));
    this.longest = set?.maxPositions ?? Math.max(4096, Math.min(longest ?? 0, 1 << 20), state.maxLength);
    if (document.activeElement !== this.length) this.length.value = String(state.maxLength);
    this.slider.value = String(this.placeOf(state.maxLength));
    this.slider.setAttribute('aria-valuetext', `${formatNumber(state.maxLength)} tokens`);
    if (set === undefined) return;
    this.title.textContent = visibleText(set.name);
    const format = set.mapping.format === 'auto' ? set.detected : set.mapping.format;
    const parts = [format === undefined ? 'unknown format' : formatName(format), set.kind, formatBytes(set.bytes)];
    fill(this.about, [...parts, visibleText(set.folder)].join(' · '));
    this.model.set(
      [
        ...set.models.map(({ value, label }) => ({ value, label: visibleText(label) })),
        { value: 'pick:', label: 'Another folder…' },
      ],
      set.model,
    );
    const picked = set.template === '' ? [] : [{ value: 'picked', label: visibleText(set.template) }];
    this.template.set(
      [{ value: 'own', label: "The model's own" }, ...picked, { value: 'file', label: 'Another file…' }],
      set.template === '' ? 'own' : 'picked',
    );
    this.train.disabled = !set.canTrain;
    this.modelProblem.hidden = set.modelProblem === undefined;
    this.modelProblem.textContent = visibleText(set.modelProblem ?? '');
  }

  /** A choice that opens a dialog: until that is answered, what was chosen stays so. */
  private again(act: () => void): void {
    act();
    this.render(undefined);
  }

  private lengthAt(place: number): number {
    const exact = shortest * (this.longest / shortest) ** (place / 1000);
    const unit = exact < 128 ? 1 : exact < 1024 ? 8 : 64;
    return Math.max(1, Math.min(this.longest, Math.round(exact / unit) * unit));
  }

  private placeOf(length: number): number {
    return Math.round((1000 * Math.log(Math.max(length, shortest) / shortest)) / Math.log(this.longest / shortest));
  }
}

/** The fields: model and method first, the rest under *More*. What is wrong stands below its field. */

import type { Choice, FormKey, FormState } from '../../src/core/view/form.js';
import { element, fill } from '../shared/dom.js';
import { ChoiceControl, type Control, RadioControl, TextControl } from './controls.js';

export interface FieldHandlers {
  set(key: FormKey, value: string): void;
  preset(id: string): void;
  pickModel(): void;
  pickEvaluation(): void;
  /** Whether the rest is shown. */
  readonly more: boolean;
  onMore(more: boolean): void;
}

const schedulers: readonly Choice[] = ['linear', 'cosine', 'constant', 'constant_with_warmup'].map((value) => ({
  value,
  label: value.replaceAll('_', ' '),
  detail: '',
}));
const formats: readonly Choice[] = [
  { value: 'auto', label: 'Detected', detail: '' },
  { value: 'alpaca', label: 'Alpaca', detail: '' },
  { value: 'sharegpt', label: 'ShareGPT', detail: '' },
  { value: 'messages', label: 'Messages', detail: '' },
  { value: 'custom', label: 'Prompt and completion', detail: '' },
  { value: 'text', label: 'Plain text', detail: '' },
];
const badRecords: readonly Choice[] = [
  { value: 'stop', label: 'Stop the start', detail: '' },
  { value: 'skip', label: 'Leave them out', detail: '' },
];

const precisions: readonly Choice[] = [
  { value: 'false', label: 'float32', detail: '' },
  { value: 'true', label: 'bfloat16', detail: 'Matrix products only' },
];
const activations: readonly Choice[] = [
  { value: 'auto', label: 'As memory allows', detail: '' },
  { value: 'false', label: 'Keep', detail: 'Faster' },
  { value: 'true', label: 'Compute again', detail: 'Less memory, slower' },
];

const pickModel = '(pick a model)';
const pickFile = '(pick a file)';

export class Fields {
  readonly element: HTMLElement;
  private readonly fields = new Map<FormKey, Field>();
  private readonly presets = element('div', { class: 'presets', role: 'group', 'aria-labelledby': 'presets-label' });
  private readonly more: HTMLDetailsElement;

  constructor(private readonly handlers: FieldHandlers) {
    this.more = element('details', { class: 'more' }, element('summary', {}, 'More'), this.moreFields());
    this.more.open = handlers.more;
    this.more.addEventListener('toggle', () => handlers.onMore(this.more.open));
    this.element = element(
      'form',
      { class: 'fields', onsubmit: (event) => event.preventDefault() },
      this.choice('model_name_or_path', 'Model', '', pickModel, () => handlers.pickModel()),
      element(
        'div',
        { class: 'field' },
        element('div', { class: 'label', id: 'presets-label' }, 'Preset'),
        this.presets,
      ),
      element(
        'div',
        { class: 'pair' },
        this.radio('use_peft', 'Method', [
          { value: 'false', label: 'Full', detail: 'All weights are trained' },
          { value: 'true', label: 'LoRA', detail: 'A small adapter is trained' },
        ]),
        this.radio('loss_on', 'Loss on', [
          { value: 'completion', label: 'Completion', detail: 'The answers only' },
          { value: 'all', label: 'All', detail: 'The whole sequence' },
        ]),
      ),
      element(
        'div',
        { class: 'pair lora' },
        this.text('lora_r', 'LoRA rank', ''),
        this.text('lora_alpha', 'LoRA alpha', 'Counts alpha / rank'),
      ),
      element(
        'div',
        { class: 'pair' },
        this.text('num_train_epochs', 'Epochs', 'May be a fraction'),
        this.text('learning_rate', 'Learning rate', 'Peak'),
      ),
      element(
        'div',
        { class: 'pair wide-first' },
        this.choice('evaluation', 'Evaluate on', '', pickFile, () => handlers.pickEvaluation()),
        this.text('test_size', 'Held out', 'Below 1 a share, else records'),
      ),
      this.more,
    );
  }

  show(state: FormState): void {
    const { values, problems, presets, preset } = state;
    this.field('model_name_or_path').offer([...state.models, more(pickModel, 'Another folder…')]);
    this.field('evaluation').offer([...state.evaluations, more(pickFile, 'Another file…')]);
    this.field('device').offer(state.devices);
    for (const [key, field] of this.fields) {
      field.show(
        values[key],
        problems.find((problem) => problem.field === key),
      );
    }
    this.element.classList.toggle('with-lora', values.use_peft === 'true');
    this.element.classList.toggle('with-split', values.evaluation === '(split)');
    fill(
      this.presets,
      ...presets.map(({ id, label, detail, recommended }) =>
        element(
          'button',
          {
            class: 'preset',
            type: 'button',
            'aria-pressed': String(preset === id),
            title: recommended ? `${detail}. Fits this model and this machine` : detail,
            onclick: () => this.handlers.preset(id),
          },
          label,
          recommended ? element('span', { class: 'badge' }, 'fits') : null,
        ),
      ),
    );
    // What is wrong must not hide.
    const hidden = problems.some(({ field }) => field !== undefined && this.more.contains(this.field(field).element));
    if (hidden) this.more.open = true;
  }

  private moreFields(): HTMLElement {
    return element(
      'div',
      { class: 'groups' },
      group(
        'Batches',
        this.text('per_device_train_batch_size', 'Batch size', 'Sequences of a microbatch'),
        this.text('gradient_accumulation_steps', 'Accumulation', 'Microbatches of a step'),
        this.text('max_length', 'Longest sequence', 'Tokens; what is longer is cut off'),
      ),
      group(
        'Optimizer',
        this.choice('lr_scheduler_type', 'Schedule', '', undefined, undefined, schedulers),
        this.text('warmup_ratio', 'Warm-up', 'Share of the steps'),
        this.text('weight_decay', 'Weight decay', ''),
        this.text('max_grad_norm', 'Clip gradient at', '0: off'),
        this.text('lora_dropout', 'LoRA dropout', '', 'lora'),
        this.text('seed', 'Seed', ''),
      ),
      group(
        'Data',
        this.choice('format', 'Record format', '', undefined, undefined, formats),
        this.text('max_train_samples', 'Records', 'To train on; 0: all'),
        this.choice('on_bad_record', 'Bad records', '', undefined, undefined, badRecords),
        this.text('prompt_field', 'Prompt in', 'Field; left out: found'),
        this.text('completion_field', 'Completion in', 'Field; left out: found'),
        this.text('system_field', 'System in', 'Field; left out: none'),
        this.text('messages_field', 'Messages in', 'Field; left out: found'),
      ),
      group(
        'Run',
        this.text('experiment', 'Experiment', 'Runs that are compared'),
        this.text('run_name', 'Run name', 'Left out: by what it trains'),
        this.choice('bf16', 'Precision', '', undefined, undefined, precisions),
        this.choice('gradient_checkpointing', 'Activations', '', undefined, undefined, activations),
        this.choice('device', 'Device', ''),
        this.text('threads', 'Threads', '0: one for each core'),
      ),
    );
  }

  private text(key: FormKey, label: string, hint: string, only = ''): HTMLElement {
    return this.add(key, new Field(key, label, hint, new TextControl((value) => this.handlers.set(key, value)), only));
  }

  private choice(
    key: FormKey,
    label: string,
    hint: string,
    special?: string,
    onSpecial?: () => void,
    choices?: readonly Choice[],
  ): HTMLElement {
    const control = new ChoiceControl((value) => {
      if (value === special) onSpecial?.();
      else this.handlers.set(key, value);
    }, special);
    if (choices !== undefined) control.offer(choices);
    return this.add(key, new Field(key, label, hint, control, ''));
  }

  private radio(key: FormKey, label: string, choices: readonly Choice[]): HTMLElement {
    const control = new RadioControl(choices, (value) => this.handlers.set(key, value));
    return this.add(key, new Field(key, label, '', control, ''));
  }

  private add(key: FormKey, field: Field): HTMLElement {
    this.fields.set(key, field);
    return field.element;
  }

  private field(key: FormKey): Field {
    const field = this.fields.get(key);
    if (field === undefined) throw new Error(`the form has no field ${key}`);
    return field;
  }
}

/** A label, its control, a hint, and what is wrong. */
class Field {
  readonly element: HTMLElement;
  private readonly message: HTMLElement;

  constructor(
    key: FormKey,
    label: string,
    private readonly hint: string,
    private readonly control: Control,
    only: string,
  ) {
    this.message = element('div', { class: 'hint muted', id: `${key}-hint` }, hint);
    const title = element('label', { class: 'label', id: `${key}-label` }, label);
    title.addEventListener('click', () => control.element.focus());
    // The toolkit's controls take no label of the document: they are named themselves.
    control.element.setAttribute('aria-label', label);
    control.element.setAttribute('aria-describedby', `${key}-hint`);
    control.element.id = key;
    this.element = element('div', { class: `field ${key} ${only}` }, title, control.element, this.message);
  }

  offer(choices: readonly Choice[]): void {
    this.control.offer(choices);
  }

  show(value: string, problem: FormState['problems'][number] | undefined): void {
    this.control.show(value);
    this.element.classList.toggle('wrong', problem !== undefined);
    this.control.element.setAttribute('aria-invalid', String(problem !== undefined));
    this.message.classList.toggle('error', problem !== undefined);
    this.message.classList.toggle('muted', problem === undefined);
    const advice = problem?.advice === undefined ? '' : `. ${problem.advice}`;
    const text = problem === undefined ? (this.control.detail ?? this.hint) : `${sentence(problem.message)}${advice}`;
    if (this.message.textContent !== text) this.message.textContent = text;
  }
}

function group(title: string, ...fields: HTMLElement[]): HTMLElement {
  return element('fieldset', {}, element('legend', {}, title), ...fields);
}

function more(value: string, label: string): Choice {
  return { value, label, detail: '' };
}

function sentence(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1).replace(/\.$/, '');
}

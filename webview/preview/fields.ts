/** How the fields of a record are read: the format, and which field is what. */

import { type Mapping, type SetInfo, mapping as schema } from '../../src/core/view/preview.js';
import { visibleText } from '../../src/core/view/visible.js';
import { Select } from '../shared/controls.js';
import { element } from '../shared/dom.js';
import { formatName } from './toolbar.js';

type Role = 'prompt' | 'completion' | 'system' | 'messages';
const roles: readonly (readonly [Role, string])[] = [
  ['prompt', 'Prompt'],
  ['completion', 'Completion'],
  ['system', 'System'],
  ['messages', 'Messages'],
];

export class FieldsPanel {
  readonly root: HTMLElement;
  private readonly format: Select;
  private readonly selects: readonly (readonly [Role, Select])[];
  private readonly note = element('span', { class: 'muted' });
  private current: Mapping = { format: 'auto' };
  /** What was chosen here and not yet answered: what the extension still says of before must not undo it. */
  private wished: string | undefined;

  constructor(change: (mapping: Mapping) => void) {
    const send = (next: Record<string, string | undefined>): void => {
      const entries = Object.entries({ ...this.current, ...next }).filter(([, value]) => value !== undefined);
      // The next choice may come before the extension has answered this one.
      this.current = schema.parse(Object.fromEntries(entries));
      this.wished = keyOf(this.current);
      change(this.current);
    };
    this.format = new Select('Format', (format) => send({ format, ...clearedBy(format) }));
    this.selects = roles.map(([role, label]) => [
      role,
      new Select(label, (field) => send({ [role]: field === '' ? undefined : field })),
    ]);
    this.root = element(
      'section',
      { class: 'fields', 'aria-label': 'Fields', hidden: true },
      this.format.root,
      ...this.selects.map(([, select]) => select.root),
      this.note,
    );
  }

  render({ mapping: told, detected, fields }: SetInfo): void {
    if (this.wished === keyOf(told)) this.wished = undefined;
    if (this.wished === undefined) this.current = told;
    const mapping = this.current;
    const found = detected === undefined ? 'Detect' : `Detected: ${formatName(detected)}`;
    this.format.set(
      [
        { value: 'auto', label: found },
        ...['alpaca', 'sharegpt', 'messages', 'custom', 'text'].map((value) => ({ value, label: formatName(value) })),
      ],
      mapping.format,
    );
    const format = mapping.format === 'auto' ? detected : mapping.format;
    for (const [role, select] of this.selects) {
      const value = mapping[role] ?? '';
      const known = value === '' || fields.includes(value) ? fields : [value, ...fields];
      select.set(
        [{ value: '', label: 'Automatic' }, ...known.map((name) => ({ value: name, label: visibleText(name) }))],
        value,
      );
      select.root.hidden = !usedBy(format).includes(role);
    }
    this.note.textContent = 'Kept in .sft/datasets.json, and used by Fine-tune.';
  }
}

function keyOf(mapping: Mapping): string {
  return JSON.stringify(Object.entries(mapping).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function usedBy(format: string | undefined): readonly Role[] {
  switch (format) {
    case 'alpaca':
    case 'text':
      return [];
    case 'sharegpt':
    case 'messages':
      return ['messages', 'system'];
    default:
      return ['prompt', 'completion', 'system'];
  }
}

function clearedBy(format: string): Partial<Record<Role, undefined>> {
  const used = usedBy(format === 'auto' ? undefined : format);
  return Object.fromEntries(
    roles.flatMap(([role]) => (format === 'auto' || !used.includes(role) ? [[role, undefined]] : [])),
  );
}

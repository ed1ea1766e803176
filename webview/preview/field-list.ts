/** The fields that the records have, what is in them, and how large records are: exact as soon as every line was checked. */

import { formatBytes } from '../../src/core/units.js';
import type { Checked } from '../../src/core/view/preview.js';
import { visibleText } from '../../src/core/view/visible.js';
import { element, fill } from '../shared/dom.js';
import { formatNumber } from '../shared/text.js';
import type { Theme } from '../shared/theme.js';
import { Histogram } from './histogram.js';

export class FieldList {
  readonly root = element('section', { class: 'schema', hidden: true });
  private readonly list = element('div', { class: 'schema-list' });
  private readonly sizes = element('p', { class: 'muted' });
  private readonly histogram = new Histogram();
  private shown: Checked | undefined;

  constructor() {
    this.root.append(
      element('h2', {}, 'Fields'),
      this.list,
      element('h2', {}, 'Bytes of a record'),
      this.histogram.root,
      this.sizes,
    );
  }

  retheme(theme: Theme): void {
    this.histogram.retheme(theme);
  }

  render(checked: Checked | undefined): void {
    this.root.hidden = checked === undefined;
    if (checked === undefined || JSON.stringify(checked) === JSON.stringify(this.shown)) return;
    this.shown = checked;
    const { fields, records, bytes, longest } = checked;
    fill(
      this.list,
      ...fields.map(({ name, types, count }) =>
        element(
          'div',
          { class: 'schema-field', title: `${visibleText(name)}: ${types}` },
          element('span', { class: 'what' }, visibleText(name)),
          element('span', { class: 'muted types' }, types),
          element('span', { class: 'count' }, formatNumber(count)),
        ),
      ),
    );
    this.histogram.show(checked.bins, 'bytes', Number.POSITIVE_INFINITY);
    const mean = records === 0 ? 0 : Math.round(bytes / records);
    this.sizes.textContent = `${formatBytes(mean)} on average, at most ${formatBytes(longest)}`;
  }
}

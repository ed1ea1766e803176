/** How the charts are read: x axis, smoothing, what is marked, which charts there are. */

import { charts } from '../../src/core/view/charts.js';
import { type XAxis, xAxes } from '../../src/core/view/columns.js';
import { element, patch } from '../shared/dom.js';
import { icon } from '../shared/icons.js';
import type { Checkbox } from '../shared/toolkit.js';
import { axisTitles } from './axes.js';
import { hasFigure } from './curves.js';
import { toggled, type View } from './view.js';

export class Toolbar {
  readonly root = element('div', { class: 'toolbar', role: 'toolbar', 'aria-label': 'Charts' });
  private readonly axis = element('div', { class: 'segments', role: 'radiogroup', 'aria-label': 'X axis' });
  private readonly smoothing = element('input', {
    type: 'range',
    min: 0,
    max: 0.99,
    step: 0.01,
    'aria-label': 'Smoothing',
    title: 'Weight of the moving average',
  });
  private readonly smoothingValue = element('output', { class: 'mono' });
  private readonly boxes = element('div', { class: 'boxes' });
  private readonly chooser = element('details', { class: 'menu' });
  private readonly chooserList = element('div', { class: 'menu-list', role: 'group', 'aria-label': 'Charts shown' });
  private readonly resetButton: HTMLButtonElement;

  constructor(
    private readonly view: View,
    onPicture: () => void,
  ) {
    this.smoothing.addEventListener('input', () => view.change({ smoothing: Number(this.smoothing.value) }));
    this.resetButton = element(
      'button',
      {
        class: 'plain',
        type: 'button',
        title: 'Show all of the x axis (0, or double click)',
        onclick: () => view.move(null),
      },
      icon('reset'),
      'Reset zoom',
    );
    this.chooser.append(
      element('summary', { class: 'plain', title: 'Choose charts' }, 'Charts', icon('down')),
      this.chooserList,
    );
    document.addEventListener('pointerdown', ({ target }) => {
      if (target instanceof Node && !this.chooser.contains(target)) this.chooser.open = false;
    });
    this.chooser.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape') return;
      this.chooser.open = false;
      this.chooser.querySelector('summary')?.focus();
    });
    this.root.append(
      element('div', { class: 'tool' }, element('span', { class: 'tool-name' }, 'X'), this.axis),
      element(
        'label',
        { class: 'tool' },
        element('span', { class: 'tool-name' }, 'Smoothing'),
        this.smoothing,
        this.smoothingValue,
      ),
      this.boxes,
      element('span', { class: 'spacer' }),
      this.resetButton,
      this.chooser,
      element(
        'button',
        { class: 'plain', type: 'button', title: 'All charts as one picture', onclick: onPicture },
        icon('image'),
        'PNG',
      ),
      element(
        'button',
        {
          class: 'plain',
          type: 'button',
          title: 'All values as a table',
          onclick: () => view.send({ type: 'exportCsv', keys: view.shown.map(({ key }) => key) }),
        },
        icon('table'),
        'CSV',
      ),
    );
    this.makeAxis();
    this.makeBoxes();
  }

  render(): void {
    const { state, runs } = this.view;
    for (const input of this.axis.querySelectorAll('input')) input.checked = input.value === state.xAxis;
    this.smoothing.value = String(state.smoothing);
    this.smoothing.style.setProperty('--share', `${(state.smoothing / 0.99) * 100}%`);
    patch(this.smoothingValue, state.smoothing.toFixed(2));
    for (const box of this.boxes.querySelectorAll<Checkbox>('vscode-checkbox')) {
      const on = box.dataset.key === 'raw' ? state.raw : state.checkpoints;
      if (box.checked !== on) box.checked = on;
    }
    this.renderZoom();
    patch(
      this.chooserList,
      ...charts
        .filter((chart) => hasFigure(chart, runs))
        .map(({ id, title, about }) =>
          element(
            'label',
            { title: about },
            element('input', {
              type: 'checkbox',
              checked: !state.hiddenCharts.includes(id),
              'data-focus': id,
              onchange: () => this.view.change({ hiddenCharts: toggled(this.view.state.hiddenCharts, id) }),
            }),
            title,
          ),
        ),
    );
  }

  /** What depends on the visible part of the axis. */
  renderZoom(): void {
    const hidden = this.view.state.zoom === null;
    if (this.resetButton.hidden !== hidden) this.resetButton.hidden = hidden;
  }

  private makeAxis(): void {
    const choose = (axis: XAxis): void => {
      if (axis !== this.view.state.xAxis) this.view.change({ xAxis: axis, zoom: null });
    };
    for (const axis of xAxes) {
      this.axis.append(
        element(
          'label',
          {},
          element('input', { type: 'radio', name: 'x-axis', value: axis, onchange: () => choose(axis) }),
          element('span', {}, axisTitles[axis]),
        ),
      );
    }
  }

  private makeBoxes(): void {
    const box = (key: 'raw' | 'checkpoints', label: string, title: string): void => {
      const made = element('vscode-checkbox', { 'data-key': key, title }, label);
      made.addEventListener('change', () => {
        const { checked } = made as Checkbox;
        if (checked !== this.view.state[key]) this.view.change({ [key]: checked });
      });
      this.boxes.append(made);
    };
    box('raw', 'Raw', 'Unsmoothed values behind the smoothed ones');
    box('checkpoints', 'Checkpoints', 'Triangles where a checkpoint was saved');
  }
}

/** The bar at the bottom: start, start as comparison, save, and how it went. */

import { formatEstimate } from '../../src/core/units.js';
import type { FormState } from '../../src/core/view/form.js';
import { visibleText } from '../../src/core/view/visible.js';
import { element, fill } from '../shared/dom.js';
import type { Button } from '../shared/toolkit.js';

export interface ActionHandlers {
  start(compare: boolean): void;
  save(): void;
  openRun(): void;
}

export class Actions {
  readonly element: HTMLElement;
  private readonly start: Button;
  private readonly compare: Button;
  private readonly save: Button;
  private readonly status = element('div', { class: 'status' });

  constructor(private readonly handlers: ActionHandlers) {
    this.start = button('Start', 'primary', () => handlers.start(false));
    this.compare = button('Start as comparison', 'secondary', () => handlers.start(true));
    this.compare.title = 'Six runs, one after the other: loss on completion and on all tokens, for 1, 2 and 3 epochs';
    this.save = button('Save as .sft.json…', 'secondary', () => handlers.save());
    this.element = element(
      'footer',
      { class: 'actions' },
      element('div', { class: 'buttons' }, this.start, this.compare, this.save),
      this.status,
    );
  }

  show(state: FormState): void {
    const reason = blocked(state);
    const starting = state.activity.kind === 'starting';
    this.start.disabled = reason !== undefined || starting;
    this.compare.disabled = reason !== undefined || starting;
    this.save.disabled = hasErrors(state);
    const { activity, cost } = state;
    this.status.classList.toggle(
      'error',
      activity.kind === 'failed' || (activity.kind === 'idle' && reason !== undefined),
    );
    switch (activity.kind) {
      case 'idle':
        fill(this.status, reason ?? this.comparison(cost));
        return;
      case 'starting':
        fill(this.status, element('vscode-progress-ring', {}), `Starting the ${activity.what}…`);
        return;
      case 'started':
        fill(
          this.status,
          `${activity.what === 'run' ? 'Running' : 'Comparing'}: ${visibleText(activity.name)} `,
          element(
            'button',
            { class: 'link', type: 'button', onclick: () => this.handlers.openRun() },
            activity.what === 'run' ? 'Open run' : 'Open runs',
          ),
        );
        return;
      case 'saved':
        fill(this.status, `Saved as ${visibleText(activity.name)}`);
        return;
      case 'failed':
        fill(this.status, element('pre', {}, visibleText(activity.message)));
    }
  }

  summary(state: FormState): string {
    return this.status.textContent !== null && state.activity.kind !== 'idle' ? this.status.textContent : '';
  }

  private comparison(cost: FormState['cost']): string {
    if (cost.status !== 'measured') return 'A comparison trains completion and all × 1, 2, 3 epochs.';
    return `A comparison trains completion and all × 1, 2, 3 epochs: about ${formatEstimate(cost.comparisonSeconds)}.`;
  }
}

function hasErrors({ problems }: FormState): boolean {
  return problems.some(({ severity }) => severity === 'error');
}

/** Why it cannot start, in words. */
function blocked(state: FormState): string | undefined {
  const errors = state.problems.filter(({ severity }) => severity === 'error');
  if (errors.length > 0) {
    const general = errors.find(({ field }) => field === undefined);
    return general === undefined ? 'Something is wrong with a field above.' : visibleText(general.message);
  }
  if (state.data.status === 'failed') return 'The data set cannot be used as it is.';
  const bad = state.data.status === 'read' && state.data.problems.some(({ severity }) => severity === 'error');
  return bad ? 'The data set has errors that stop a run.' : undefined;
}

function button(text: string, appearance: 'primary' | 'secondary', onclick: () => void): Button {
  const made = element('vscode-button', { appearance, onclick }, text);
  // The toolkit's element, registered before the page is built.
  return made as Button;
}

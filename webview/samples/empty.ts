/** What to do where there is nothing to show. */

import { visibleText } from '../../src/core/view/visible.js';
import { element } from '../shared/dom.js';
import type { View } from './view.js';

/** Undefined: there is something to show. */
export function emptyParts(view: View, received: boolean, missing: readonly string[]): HTMLElement[] | undefined {
  const { runs, sets, list } = view;
  if (!received) return [element('p', { class: 'muted' }, 'Reading runs…')];
  const [first] = runs;
  if (first === undefined && missing.length > 0) {
    return [
      element('h2', {}, missing.length === 1 ? 'The run is not here' : 'The runs are not here'),
      element(
        'p',
        { class: 'muted' },
        'They are being looked for. A run that was moved or deleted is not found again:',
      ),
      ...missing.slice(0, 5).map((folder) => element('code', { class: 'folder' }, visibleText(folder))),
      button('Choose runs…', () => view.send({ type: 'add' })),
    ];
  }
  if (first === undefined) {
    return [
      element('h2', {}, 'No runs are shown'),
      element(
        'p',
        { class: 'muted' },
        'Choose runs of this workspace to see what their models said at each evaluation.',
      ),
      button('Choose runs…', () => view.send({ type: 'add' })),
    ];
  }
  if (sets.length === 0) return noEvaluation(view, first);
  if (list === undefined) return [element('p', { class: 'muted' }, 'Reading runs…')];
  if (list.count > 0) return undefined;
  if (list.counts.all > 0 && list.counts.answered === 0 && view.query.text === '')
    return noAnswers(view, list.run ?? first.key);
  return undefined;
}

function noEvaluation(view: View, { key, state }: View['runs'][number]): HTMLElement[] {
  const live = state === 'running' || state === 'queued';
  return [
    element('h2', {}, live ? 'No evaluation yet' : 'This run was not evaluated'),
    element(
      'p',
      { class: 'muted' },
      live
        ? 'What the model says appears here after each evaluation. These keys of the config say when:'
        : 'The model answers at each evaluation. A config with these keys has some:',
    ),
    keys([
      ['"eval_dataset": "tickets.eval.jsonl"', 'what is asked; or "test_size": 0.1 for a part of the training data'],
      ['"eval_steps": 50', 'how often; left out: at the end of each epoch'],
      ['"eval_on_start": true', 'before the first step too, to see what changed'],
      ['"num_sample_generations": 16', 'answers kept with all tokens and entropies'],
    ]),
    button('Open config', () => view.send({ type: 'openConfig', run: key })),
  ];
}

function noAnswers(view: View, run: string): HTMLElement[] {
  return [
    element('h2', {}, 'The model was not asked'),
    element(
      'p',
      { class: 'muted' },
      'This run measured losses alone. With these keys of the config it answers at each evaluation:',
    ),
    keys([
      ['"num_sample_generations": 16', 'answers kept with all tokens and entropies'],
      ['"eval_generate_samples": 256', 'records answered and checked; 0: all'],
      ['"verifier": "auto"', 'decides what is right: label, number or exact'],
    ]),
    element(
      'div',
      { class: 'actions' },
      button('Open config', () => view.send({ type: 'openConfig', run })),
      button('Show losses', () => view.change({ filter: 'all' })),
    ),
  ];
}

function keys(list: readonly (readonly [string, string])[]): HTMLElement {
  return element(
    'dl',
    { class: 'keys' },
    ...list.flatMap(([key, about]) => [
      element('dt', {}, element('code', {}, key)),
      element('dd', { class: 'muted' }, about),
    ]),
  );
}

function button(text: string, onclick: () => void): HTMLElement {
  return element('button', { class: 'action', type: 'button', onclick }, text);
}

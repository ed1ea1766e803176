/** What the data set holds: counts, what is wrong with it, and examples token by token with the mask of the trainer. */

import { formatBytes } from '../../src/core/units.js';
import type { FormData, FormExample, FormState } from '../../src/core/view/form.js';
import { visibleText } from '../../src/core/view/visible.js';
import { element, fill } from '../shared/dom.js';
import { appendText } from '../shared/text.js';

const formatNames: Readonly<Record<string, string>> = {
  alpaca: 'Alpaca',
  sharegpt: 'ShareGPT',
  messages: 'Messages',
  custom: 'Prompt and completion',
  text: 'Plain text',
};

export class DataSection {
  readonly element = element('div', { class: 'data' });
  /** What stops a run, to stand above everything. */
  readonly errors = element('div', { class: 'problems errors' });
  private readonly warnings = element('div', { class: 'problems' });
  private readonly examples = element('section', { 'aria-label': 'Examples' });
  private shown = '';

  constructor(
    private readonly reveal: (file: string, line: number) => void,
    private readonly preview: () => void,
    private readonly skip: () => void,
  ) {
    this.element.append(this.warnings, this.examples);
  }

  /** One line below the title. */
  describe({ dataSet, data }: FormState): string {
    const parts = [visibleText(dataSet.folder), formatBytes(dataSet.bytes)];
    if (data.status === 'read') {
      const formats = data.formats.map((name) => formatNames[name] ?? name).join(' and ');
      if (formats !== '') parts.unshift(formats);
      const about = data.exact && data.whole ? '' : 'about ';
      parts.push(`${about}${grouped(data.records)} records to train on`);
      if (data.evaluationRecords > 0) parts.push(`${grouped(data.evaluationRecords)} to evaluate on`);
    } else if (data.status === 'reading') parts.push('reading…');
    return parts.join(' · ');
  }

  show({ data }: FormState): void {
    fill(this.errors, ...this.problemsOf(data, 'error'));
    fill(this.warnings, ...this.problemsOf(data, 'warning'));
    // Building thousands of spans again at every keystroke would be felt.
    const examples = data.status === 'reading' ? [] : data.examples;
    const text = JSON.stringify([data.status, examples]);
    if (text === this.shown) return;
    this.shown = text;
    if (data.status === 'failed') fill(this.examples, ...examples.map(card));
    else if (data.status === 'reading') fill(this.examples, element('p', { class: 'muted' }, 'Reading the data set…'));
    else fill(this.examples, legend(data), ...examples.map(card), this.all());
  }

  private problemsOf(data: FormData, wanted: 'error' | 'warning'): Node[] {
    if (data.status === 'failed') {
      if (wanted === 'warning') return [];
      const { place } = data;
      const where = place === undefined ? null : this.link(place);
      return [notice('error', visibleText(data.message), data.advice, where === null ? [] : [where])];
    }
    if (data.status !== 'read') return [];
    const problems = data.problems.filter(({ severity }) => severity === wanted);
    return problems.map(({ severity, message, count, places, mayBeSkipped }) =>
      notice(
        severity,
        count > 0 ? `${visibleText(message)} (${grouped(count)})` : visibleText(message),
        undefined,
        places.map((place) => this.link(place)),
        mayBeSkipped ? this.skipButton() : undefined,
      ),
    );
  }

  private skipButton(): Node {
    const onclick = (): void => this.skip();
    return element('button', { class: 'link', type: 'button', onclick }, 'Leave them out');
  }

  private all(): Node {
    const onclick = (): void => this.preview();
    return element('p', {}, element('button', { class: 'link', type: 'button', onclick }, 'See all records'));
  }

  private link({ file, name, line, message }: { file: string; name: string; line: number; message: string }): Node {
    const text = `${visibleText(name)}:${line}`;
    const open = element('button', { class: 'link', type: 'button', onclick: () => this.reveal(file, line) }, text);
    return element('li', {}, open, ' ', visibleText(message));
  }
}

function notice(
  severity: 'error' | 'warning',
  message: string,
  advice: string | undefined,
  places: Node[],
  action?: Node,
): Node {
  const sign = severity === 'error' ? 'Error' : 'Warning';
  return element(
    'div',
    { class: `notice ${severity}` },
    element('p', {}, element('strong', {}, `${sign}: `), message),
    advice === undefined ? null : element('p', { class: 'muted advice' }, visibleText(advice)),
    places.length === 0 ? null : element('ul', {}, ...places),
    action,
  );
}

function legend(data: Extract<FormData, { status: 'read' }>): Node {
  const source = {
    generation: "the template's own generation marks",
    turns: "the assistant's turns",
    separators: 'the completion after the separator',
    text: 'the whole text',
  }[data.maskSource];
  return element(
    'div',
    { class: 'legend' },
    element('h2', {}, 'What is trained on'),
    element(
      'p',
      { class: 'muted' },
      element('span', { class: 'token trained' }, 'underlined'),
      ' tokens have a loss; the others are read only. Taken from ',
      source,
      '.',
    ),
  );
}

function card({ line, tokens, trained, truncated, shown }: FormExample): Node {
  const counts = [`${grouped(tokens)} tokens`, `${grouped(trained)} trained on`];
  if (truncated > 0) counts.push(`${grouped(truncated)} cut off`);
  const hidden = tokens - shown.length;
  return element(
    'article',
    { class: 'example' },
    element('h3', {}, `Line ${line}`, element('span', { class: 'muted' }, ` · ${counts.join(' · ')}`)),
    element(
      'div',
      { class: 'tokens mono', tabindex: 0, role: 'group', 'aria-label': `Tokens of line ${line}` },
      ...runs(shown),
      hidden > 0 ? element('span', { class: 'muted' }, ` … ${grouped(hidden)} more tokens`) : null,
    ),
  );
}

/** Neighbours with the same mask stand in one element, which is what screen readers read. */
function runs(tokens: FormExample['shown']): Node[] {
  const nodes: Node[] = [];
  for (let i = 0; i < tokens.length; ) {
    const trained = tokens[i]?.trained === true;
    const end = tokens.findIndex((token, at) => at > i && token.trained !== trained);
    const run = tokens.slice(i, end === -1 ? tokens.length : end);
    nodes.push(element(trained ? 'mark' : 'span', { class: 'run' }, ...run.map(token)));
    i += run.length;
  }
  return nodes;
}

function token({ id, text, trained }: FormExample['shown'][number]): Node {
  const made = element('span', {
    class: trained ? 'token trained' : 'token',
    title: `Token ${id}: ${trained ? 'trained on' : 'read only'}`,
  });
  appendText(made, text.replaceAll('\n', '⏎\n').replaceAll('\t', '⇥\t'));
  return made;
}

export function grouped(count: number): string {
  return Math.round(count).toLocaleString('en-US');
}

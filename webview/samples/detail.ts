/** One record: how its answers went, the prompt, what the model said at the chosen evaluation, and what was expected. */

import type { PromptDetail, Said } from '../../src/core/view/samples.js';
import { visibleText } from '../../src/core/view/visible.js';
import { element, fill, keepingFocus } from '../shared/dom.js';
import { icon } from '../shared/icons.js';
import { appendText, formatNumber } from '../shared/text.js';
import { TokenTip } from '../shared/tip.js';
import { CompareView } from './compare.js';
import { heatLegend, heatText } from './heat.js';
import { markPath, svgElement } from './marks.js';
import { TrackView } from './track.js';
import { figure, labelOf, type View, verdictNames } from './view.js';

export class DetailView {
  readonly root: HTMLElement;
  private readonly head = element('header', { class: 'detail-head' });
  private readonly track: TrackView;
  private readonly compare: CompareView;
  private readonly prompt = element('section', { class: 'block prompt', 'aria-label': 'Prompt' });
  private readonly answer = element('section', { class: 'block answer', 'aria-label': 'Answer' });
  private readonly reference = element('section', { class: 'block', 'aria-label': 'Reference' });
  private readonly tip = new TokenTip();
  private shownKey = '';
  private drawn = '';

  constructor(
    private readonly view: View,
    private readonly announce: (text: string) => void,
  ) {
    this.track = new TrackView(view);
    this.compare = new CompareView(view);
    this.root = element(
      'article',
      { class: 'detail', tabindex: -1, 'aria-label': 'Record' },
      this.head,
      this.track.root,
      this.prompt,
      this.answer,
      this.reference,
      this.compare.root,
      this.tip.root,
    );
  }

  focus(): void {
    const slider = this.root.querySelector<HTMLElement>('.track.active .track-slider, .track-slider');
    (slider ?? this.root).focus();
  }

  render(): void {
    const { detail } = this.view;
    this.root.hidden = detail === null;
    if (detail === null) return;
    // What is the same stays: a person may have scrolled in it, or selected a part.
    const drawn = JSON.stringify([
      detail,
      this.view.list?.count,
      this.view.list?.samplesKept,
      this.view.query.base,
      this.view.runs,
    ]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    this.tip.hide();
    if (detail.key !== this.shownKey) this.root.scrollTop = 0;
    this.shownKey = detail.key;
    keepingFocus(this.head, () => fill(this.head, ...this.headParts(detail)));
    this.track.render();
    this.renderAnswer(detail);
    this.compare.render(detail);
    this.renderText(this.prompt, 'Prompt', detail.prompt, detail);
    this.renderText(this.reference, 'Reference', detail.reference, detail);
  }

  private headParts({ position, place, shown }: PromptDetail): (HTMLElement | null)[] {
    const { view } = this;
    const count = view.list?.count ?? 0;
    const file = place.file.split(/[\\/]/).at(-1) ?? '';
    const step = (by: number, name: string, shape: 'left' | 'right'): HTMLElement =>
      element(
        'button',
        {
          class: 'plain',
          type: 'button',
          title: name,
          'aria-label': name,
          'data-focus': name,
          disabled: position === null || position + by < 0 || position + by >= count,
          onclick: () => view.select((position ?? 0) + by),
        },
        icon(shape),
      );
    return [
      shown === null ? null : verdictBadge(shown),
      element(
        'button',
        {
          class: 'plain place',
          type: 'button',
          title: `Show in the data set: ${place.file}, line ${place.line}`,
          'data-focus': 'place',
          onclick: () => view.send({ type: 'openRecord' }),
        },
        icon('log'),
        `${visibleText(file)}, record ${formatNumber(place.record)}`,
      ),
      element('span', { class: 'spacer' }),
      element(
        'span',
        { class: 'muted position' },
        position === null ? 'not in this list' : `${formatNumber(position + 1)} of ${formatNumber(count)}`,
      ),
      step(-1, 'Previous record', 'left'),
      step(1, 'Next record', 'right'),
    ];
  }

  private renderAnswer({ shown }: PromptDetail): void {
    const { view } = this;
    const facts = element('span', { class: 'muted' });
    const body: (HTMLElement | null)[] = [];
    if (shown === null) {
      body.push(element('p', { class: 'muted' }, 'This run has not evaluated the record.'));
    } else {
      const many = view.runs.length > 1;
      facts.textContent = [
        ...(many ? [visibleText(labelOf(view, shown.run))] : []),
        `step ${formatNumber(shown.step)}`,
        ...(shown.loss === null ? [] : [`loss ${figure(shown.loss)}`]),
        ...(shown.finish === null ? [] : [finishes[shown.finish]]),
      ].join(' · ');
      body.push(...this.answerParts(shown));
    }
    keepingFocus(this.answer, () =>
      fill(this.answer, element('header', { class: 'block-head' }, element('h2', {}, 'Answer'), facts), ...body),
    );
  }

  private answerParts(shown: Said): (HTMLElement | null)[] {
    const { view } = this;
    const { answer, tokens, cut } = shown;
    const kept = view.list?.samplesKept ?? 0;
    if (answer === null) {
      return [
        element(
          'p',
          { class: 'muted' },
          'The model was not asked here: ',
          code('eval_generate_samples'),
          ' records of the set are answered.',
        ),
      ];
    }
    if (tokens !== null && tokens.ends.length > 0)
      return [heatText(shown, tokens, this.tip, this.announce), heatLegend(tokens)];
    const text = element('div', { class: 'text', dir: 'auto' });
    if (answer === '') text.append(element('span', { class: 'muted' }, 'The model said nothing: the answer is empty.'));
    else appendText(text, answer);
    if (cut) text.append(element('span', { class: 'muted' }, ' … only its beginning was kept'));
    if (tokens !== null) return [text];
    const why = `Entropies are kept for ${formatNumber(kept)} ${kept === 1 ? 'record' : 'records'} of each evaluation: `;
    return [text, element('p', { class: 'muted hint' }, why, code('num_sample_generations'), ' in the config.')];
  }

  private renderText(section: HTMLElement, title: string, text: string | null, { source }: PromptDetail): void {
    const body = element('div', { class: 'text', dir: 'auto' });
    if (text !== null && text !== '') appendText(body, text);
    else body.append(element('span', { class: 'muted' }, text === '' ? 'empty' : missing(source)));
    const from = source.kind === 'file' ? 'from the data set as it is now' : '';
    fill(
      section,
      element('header', { class: 'block-head' }, element('h2', {}, title), element('span', { class: 'muted' }, from)),
      body,
    );
  }
}

const finishes = { stop: 'ended by itself', length: 'cut at the longest length' } as const;

function verdictBadge({ verdict, answer }: Said): HTMLElement {
  const name = answer === null ? 'not asked' : verdictNames[verdict];
  const svg = svgElement('svg', {
    class: 'icon-mark',
    viewBox: '-6 -6 12 12',
    width: 12,
    height: 12,
    'aria-hidden': 'true',
  });
  svg.append(markPath(verdict));
  const kind = verdict === 1 ? 'right' : verdict === 0 ? 'wrong' : 'none';
  return element('span', { class: `verdict ${kind}` }, svg, name);
}

function missing(source: PromptDetail['source']): string {
  switch (source.kind) {
    case 'reading':
      return 'Reading the data set…';
    case 'missing':
      return `Not to be had: ${visibleText(source.reason)}`;
    default:
      return 'not known';
  }
}

function code(text: string): HTMLElement {
  return element('code', {}, text);
}

/**
 * An answer token by token, each as warm as the model was unsure: a tint where there are colours, and a line under it that grows, so that it
 * can be read without. Left and right move from token to token.
 */

import type { Said, SaidTokens } from '../../src/core/view/samples.js';
import { visibleText } from '../../src/core/view/visible.js';
import { element } from '../shared/dom.js';
import { appendText, formatNumber } from '../shared/text.js';
import type { TokenTip } from '../shared/tip.js';
import { figure } from './view.js';

/** Nats from which a token is as warm as can be: some twenty words as likely as each other. */
const hottest = 3;
/** Tokens shown at once: a page with more elements is slow. */
const mostTokens = 5000;

interface Token {
  readonly text: string;
  readonly entropy: number;
}

function tokensOf({ text, ends, entropies }: SaidTokens): Token[] {
  return ends.map((end, i) => ({ text: text.slice(ends[i - 1] ?? 0, end), entropy: entropies[i] ?? 0 }));
}

/** @param announce says to screen readers which token is reached */
export function heatText(
  { finish }: Pick<Said, 'finish'>,
  said: SaidTokens,
  tip: TokenTip,
  announce: (text: string) => void,
): HTMLElement {
  const tokens = tokensOf(said);
  const root = element('div', {
    class: 'tokens',
    dir: 'auto',
    tabindex: 0,
    role: 'group',
    'aria-label': 'Answer by tokens: left and right arrow go from one to the next',
    'data-focus': 'heat',
  });
  const shown = tokens.slice(0, mostTokens).map((token, i) => {
    const end = finish === 'stop' && i === tokens.length - 1;
    const span = element('span', { class: end ? 'token end' : 'token' });
    span.style.setProperty('--heat', Math.min(1, token.entropy / hottest).toFixed(3));
    appendText(span, shownText(token.text));
    tip.attach(span, () => tipLines(token, i, tokens.length));
    return span;
  });
  root.append(...shown);
  if (tokens.length > mostTokens) {
    root.append(element('p', { class: 'muted' }, `${formatNumber(tokens.length - mostTokens)} more tokens`));
  }
  let at = -1;
  root.addEventListener('keydown', (event) => {
    if (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight') return;
    event.preventDefault();
    shown[at]?.classList.remove('reached');
    at = Math.max(0, Math.min(shown.length - 1, at + (event.key === 'ArrowRight' ? 1 : -1)));
    const [span, token] = [shown[at], tokens[at]];
    if (span === undefined || token === undefined) return;
    span.classList.add('reached');
    span.scrollIntoView({ block: 'nearest' });
    tip.show(span, tipLines(token, at, tokens.length));
    announce(`${JSON.stringify(visibleText(token.text))}, entropy ${figure(token.entropy)}`);
  });
  root.addEventListener('blur', () => {
    shown[at]?.classList.remove('reached');
    tip.hide();
  });
  tip.listen(root);
  return root;
}

/** Line ends are seen and stay line ends; a token without text is one of several that make a character. */
function shownText(text: string): string {
  return text === '' ? '∅' : text.replaceAll('\n', '⏎\n');
}

function tipLines({ text, entropy }: Token, i: number, count: number): [string, string][] {
  return [
    ['token', JSON.stringify(visibleText(text.slice(0, 200)))],
    ['entropy', `${figure(entropy)} nats`],
    ['as unsure as among', `${figure(Math.exp(entropy))} equally likely tokens`],
    ['place', `${formatNumber(i + 1)} of ${formatNumber(count)}`],
  ];
}

/** Which colour is how unsure, and what there is in numbers. */
export function heatLegend(said: SaidTokens): HTMLElement {
  const tokens = tokensOf(said);
  const mean = tokens.reduce((sum, { entropy }) => sum + entropy, 0) / Math.max(1, tokens.length);
  const most = tokens.reduce((best, token) => (token.entropy > best.entropy ? token : best), { text: '', entropy: -1 });
  const scale = [0, 1, 2, 3].map((nats) => {
    const piece = element('span', { class: 'token' }, nats === hottest ? `${nats}+` : String(nats));
    piece.style.setProperty('--heat', String(nats / hottest));
    return piece;
  });
  const count = `${formatNumber(tokens.length)} ${tokens.length === 1 ? 'token' : 'tokens'}`;
  const highest = element('span', {}, `highest ${figure(Math.max(0, most.entropy))} at `);
  highest.append(element('span', { class: 'mono' }, JSON.stringify(visibleText(most.text.slice(0, 30)))));
  return element(
    'div',
    { class: 'legend' },
    element(
      'span',
      { class: 'legend-scale' },
      element('span', {}, 'Entropy in nats'),
      element('span', { class: 'scale' }, ...scale),
    ),
    element('span', {}, `${count} · mean ${figure(mean)}`),
    tokens.length === 0 ? null : highest,
  );
}

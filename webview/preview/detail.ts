/** The row that is chosen: as a conversation, as JSON, or as tokens. */

import type { PreviewRow, PreviewToken } from '../../src/core/view/preview.js';
import { element } from '../shared/dom.js';
import { spacedNodes, textNodes } from './text.js';

export function chatView(row: PreviewRow): Node[] {
  return [
    ...problemOf(row),
    ...row.messages.map(({ role, content, reasoning, extra }) =>
      element(
        'section',
        { class: `turn ${role}` },
        element('h3', {}, role),
        reasoning === undefined
          ? null
          : element(
              'details',
              {},
              element('summary', {}, 'reasoning'),
              element('div', { class: 'content' }, ...textNodes(reasoning)),
            ),
        element('div', { class: 'content' }, ...textNodes(content)),
        extra === undefined
          ? null
          : element(
              'details',
              {},
              element('summary', {}, 'more fields'),
              element('pre', { class: 'mono' }, ...textNodes(extra)),
            ),
      ),
    ),
    ...cutOf(row),
  ];
}

export function rawView(row: PreviewRow): Node[] {
  return [...problemOf(row), element('pre', { class: 'mono raw' }, ...textNodes(row.raw)), ...cutOf(row)];
}

function problemOf({ problem, line }: PreviewRow): Node[] {
  return problem === undefined
    ? []
    : [element('p', { class: 'error', role: 'alert' }, `Line ${line}: `, ...textNodes(problem))];
}

function cutOf({ cut }: PreviewRow): Node[] {
  return cut ? [element('p', { class: 'muted' }, 'The rest of this record is too long to show.')] : [];
}

export interface TokenView {
  readonly tokens: readonly PreviewToken[];
  readonly more: number;
  readonly lossOn: 'completion' | 'all';
  readonly maxLength: number;
}

/** Masked here, from the groups: a switch or a slider shows at once what it changes. */
export function tokenView({ tokens, more, lossOn, maxLength }: TokenView): Node[] {
  let trained = 0;
  const spans = tokens.map(({ id, text, bytes, completion, special }, i) => {
    const kept = i < maxLength;
    const loss = kept && i > 0 && (completion || lossOn === 'all');
    if (loss) trained++;
    const classes = ['token', completion && 'completion', special && 'special', !kept && 'truncated', loss && 'loss'];
    const title = `id ${id} · bytes ${bytes.match(/../g)?.join(' ') ?? ''}${loss ? ' · trained on' : ''}${kept ? '' : ' · cut off'}`;
    return element(
      'span',
      { class: classes.filter((one) => one !== false).join(' '), title, 'data-id': id },
      ...spacedNodes(text),
    );
  });
  const whole = tokens.length + more;
  const cut = Math.max(0, whole - maxLength);
  return [
    element(
      'div',
      { class: 'legend muted' },
      element(
        'span',
        { class: 'figures' },
        `${whole} tokens, ${trained} trained on${cut > 0 ? `, ${cut} cut off by max_length` : ''}`,
      ),
      element('span', { class: 'token' }, 'prompt'),
      element('span', { class: 'token completion' }, 'completion'),
      element('span', { class: 'token special' }, 'special'),
      element('span', { class: 'token truncated' }, 'truncated'),
      element('span', { class: 'token loss' }, 'trained on'),
    ),
    element('div', { class: 'tokens mono' }, ...spans),
    more > 0 ? element('p', { class: 'muted' }, `and ${more} more tokens`) : element('span'),
  ];
}

/** A record in the list: a line of facts, and its body as messages, as tokens, or as it stands in the file. */

import { countLoss } from '../../src/core/mask.js';
import type { PreviewRow, RowTokens, ViewKind } from '../../src/core/view/preview.js';
import { visibleText } from '../../src/core/view/visible.js';
import { element } from '../shared/dom.js';
import { appendText, formatNumber, formatPercent } from '../shared/text.js';
import type { TokenTip } from '../shared/tip.js';
import { type MaskChoice, tokenBody } from './tokens.js';

export interface RowContext {
  readonly view: ViewKind;
  readonly mask: MaskChoice;
  readonly tip: TokenTip;
  /** The format of most records. */
  readonly format: string | undefined;
  /** Whether the file has lines to go to. */
  readonly hasLines: boolean;
  readonly opened: ReadonlySet<string>;
  whole(row: number): void;
  openLine(line: number): void;
  copy(row: number): void;
  /** A part was folded or unfolded: heights change. */
  folded(key: string, open: boolean): void;
}

export function waitingRow(position: number): HTMLElement {
  return element(
    'article',
    { class: 'row waiting' },
    element('div', { class: 'facts' }, element('span', { class: 'number' }, formatNumber(position + 1))),
    element('div', { class: 'lines' }, element('span'), element('span')),
  );
}

export function rowElement(row: PreviewRow, tokens: RowTokens | null | undefined, context: RowContext): HTMLElement {
  const body = element('div', { class: 'body' });
  if (row.problem !== undefined) body.append(problemText(row));
  if (context.view === 'raw' || row.messages === undefined) body.append(rawBody(row));
  else if (context.view === 'tokens' && tokens !== undefined && tokens !== null) {
    body.append(tokenBody(tokens, context.mask, context.tip));
  } else body.append(...messages(row, context));
  const hidden = context.view === 'tokens' ? (tokens?.total ?? 0) - (tokens?.ids.length ?? 0) : row.cut;
  if (hidden > 0) {
    const unit = context.view === 'tokens' ? 'tokens' : 'characters';
    const text = `Show all · ${formatNumber(hidden)} more ${unit}`;
    body.append(
      element('button', { class: 'plain more', type: 'button', onclick: () => context.whole(row.row) }, text),
    );
  }
  const kind = row.problem === undefined ? 'row' : 'row bad';
  return element('article', { class: kind, 'data-row': row.row }, facts(row, tokens, context), body);
}

function facts(row: PreviewRow, tokens: RowTokens | null | undefined, context: RowContext): HTMLElement {
  const line = element('div', { class: 'facts' });
  line.append(element('span', { class: 'number', title: `Record ${row.row + 1}` }, formatNumber(row.row + 1)));
  if (row.format !== undefined && context.format !== undefined && row.format !== context.format) {
    line.append(element('span', { class: 'chip warn' }, row.format));
  }
  if (tokens !== undefined && tokens !== null && tokens.problem === undefined) {
    const { lossOn, maxLength } = context.mask;
    const kept = Math.min(tokens.total, maxLength);
    const loss = countLoss(tokens.runs, lossOn, maxLength);
    line.append(
      element('span', { class: 'muted' }, `${formatNumber(tokens.total)} ${tokens.total === 1 ? 'token' : 'tokens'}`),
      element(
        'span',
        { class: loss === 0 ? 'chip warn' : 'muted', title: 'Tokens with a loss, and their share of those kept' },
        `${formatNumber(loss)} trained on · ${formatPercent(loss, kept)}`,
      ),
    );
    if (tokens.total > maxLength) {
      line.append(element('span', { class: 'chip warn' }, `${formatNumber(tokens.total - maxLength)} cut off`));
    }
  }
  const turns = row.messages?.length ?? 0;
  if (turns > 2) line.append(element('span', { class: 'muted' }, `${turns} turns`));
  line.append(element('span', { class: 'spacer' }));
  const button = (text: string, title: string, act: () => void): HTMLElement =>
    element('button', { class: 'plain act', type: 'button', title, onclick: act }, text);
  line.append(button('Copy', 'Copy the record as JSON', () => context.copy(row.row)));
  if (context.hasLines) {
    line.append(button(`Line ${formatNumber(row.line)}`, 'Show in the text editor', () => context.openLine(row.line)));
  }
  return line;
}

function problemText({ problem, field }: PreviewRow): HTMLElement {
  const text = element('p', { class: 'problem' });
  appendText(text, field === undefined ? (problem ?? '') : `${field}: ${problem ?? ''}`);
  return text;
}

function rawBody({ raw }: PreviewRow): HTMLElement {
  const body = element('pre', { class: 'raw searched', dir: 'ltr' });
  appendText(body, raw ?? '');
  return body;
}

const roleNames = { system: 'System', user: 'User', assistant: 'Assistant', tool: 'Tool' } as const;

function messages(row: PreviewRow, context: RowContext): HTMLElement[] {
  const parts: HTMLElement[] = [];
  if (row.tools !== undefined) parts.push(folded(`${row.row}/tools`, 'Tools', row.tools, context));
  for (const [i, message] of (row.messages ?? []).entries()) {
    const role = row.format === 'text' ? 'Text' : roleNames[message.role];
    const said = element('div', { class: 'said' });
    if (message.reasoning !== undefined) {
      const size = `Reasoning · ${formatNumber(message.reasoning.length)} characters`;
      said.append(folded(`${row.row}/${i}/reasoning`, size, message.reasoning, context));
    }
    const content = element('div', { class: 'content searched', dir: 'auto' });
    if (message.content === '') content.append(element('span', { class: 'muted' }, 'empty'));
    else appendText(content, message.content);
    said.append(content);
    if (message.extra !== undefined) {
      said.append(folded(`${row.row}/${i}/extra`, 'Other fields', message.extra, context));
    }
    parts.push(
      element('div', { class: `message ${message.role}` }, element('span', { class: 'role' }, visibleText(role)), said),
    );
  }
  return parts;
}

function folded(key: string, title: string, text: string, context: RowContext): HTMLElement {
  const inside = element('div', { class: 'folded searched', dir: 'auto' });
  appendText(inside, text);
  const details = element('details', { open: context.opened.has(key) }, element('summary', {}, title), inside);
  details.addEventListener('toggle', () => {
    if (details.open !== context.opened.has(key)) context.folded(key, details.open);
  });
  return details;
}

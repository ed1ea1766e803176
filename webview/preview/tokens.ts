/** Token view: each token of a record in its colour, and on hover its id and bytes. */

import { hasLoss, type LossOn } from '../../src/core/mask.js';
import type { RowTokens } from '../../src/core/view/preview.js';
import { visibleText } from '../../src/core/view/visible.js';
import { element, fill } from '../shared/dom.js';
import { formatNumber } from './text.js';

export interface MaskChoice {
  readonly lossOn: LossOn;
  readonly maxLength: number;
}

/** Texts of the tokens; of a character made by several the last has it, and the others have their bytes. */
function textsOf({ bytes, ends }: RowTokens): { text: string; raw: Uint8Array }[] {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  let at = 0;
  return ends.map((end) => {
    const raw = Uint8Array.from({ length: end - at }, (_, i) => bytes.charCodeAt(at + i));
    at = end;
    return { text: decoder.decode(raw, { stream: true }), raw };
  });
}

/** White space as people can see it; a line end stays one. */
function shownText(text: string, raw: Uint8Array): string {
  if (text === '') return raw.length === 0 ? '∅' : `⟨${hex(raw)}⟩`;
  const marked = text
    .slice(0, 400)
    .replaceAll(' ', '·')
    .replaceAll('\t', '⇥\t')
    .replaceAll('\r', '␍')
    .replaceAll('\n', '⏎\n');
  return visibleText(marked);
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).toUpperCase().padStart(2, '0')).join(' ');
}

export function tokenBody(tokens: RowTokens, mask: MaskChoice, tip: TokenTip): HTMLElement {
  if (tokens.problem !== undefined) return element('p', { class: 'problem' }, visibleText(tokens.problem));
  const body = element('div', { class: 'tokens searched', dir: 'ltr' });
  const specials = new Set(tokens.specials);
  const texts = textsOf(tokens);
  const completion = completionOf(tokens.runs);
  for (const [i, { text, raw }] of texts.entries()) {
    if (i === mask.maxLength) body.append(cutMark(tokens.total - i, mask.maxLength));
    const inCompletion = completion(i);
    const cut = i >= mask.maxLength;
    const loss = !cut && hasLoss(i, inCompletion, mask.lossOn);
    const kind = cut ? 'cut' : specials.has(i) ? 'special' : inCompletion ? 'completion' : 'prompt';
    const span = element('span', { class: `token ${kind}${loss ? ' loss' : ''}` }, shownText(text, raw));
    tip.attach(span, () => {
      const what = [
        inCompletion ? 'completion' : 'prompt',
        specials.has(i) ? 'special token' : undefined,
        cut ? 'cut off' : loss ? 'trained on' : 'not trained on',
      ];
      return [
        ['id', String(tokens.ids[i] ?? '')],
        ['text', JSON.stringify(visibleText(text.slice(0, 200)))],
        ['bytes', hex(raw.subarray(0, 48)) + (raw.length > 48 ? ' …' : '')],
        ['place', `${formatNumber(i + 1)} of ${formatNumber(tokens.total)}`],
        ['', what.filter((part) => part !== undefined).join(', ')],
      ];
    });
    body.append(span);
  }
  if (texts.length === mask.maxLength && tokens.total > mask.maxLength) {
    body.append(cutMark(tokens.total - mask.maxLength, mask.maxLength));
  }
  return body;
}

function cutMark(count: number, maxLength: number): HTMLElement {
  const text = `✂ max_length ${formatNumber(maxLength)} · ${formatNumber(count)} tokens cut off`;
  return element('span', { class: 'cut-mark' }, text);
}

/** Whether a token belongs to a completion, asked in their order. */
function completionOf(runs: readonly number[]): (index: number) => boolean {
  let run = 0;
  let end = runs[0] ?? 0;
  return (index) => {
    while (index >= end && run < runs.length - 1) end += runs[++run] ?? 0;
    return run % 2 === 1;
  };
}

type TipLines = readonly (readonly [string, string])[];

/** What a token is, beside the pointer. */
export class TokenTip {
  readonly root = element('div', { class: 'tip', role: 'tooltip', hidden: true });
  private readonly lines = new WeakMap<Element, () => TipLines>();

  listen(area: HTMLElement): void {
    area.addEventListener('pointerover', (event) => {
      const target = event.target instanceof Element ? event.target : null;
      const lines = target === null ? undefined : this.lines.get(target);
      if (target === null || lines === undefined) this.hide();
      else this.show(target, lines());
    });
    area.addEventListener('pointerleave', () => this.hide());
    area.addEventListener('wheel', () => this.hide(), { passive: true });
  }

  attach(span: Element, lines: () => TipLines): void {
    this.lines.set(span, lines);
  }

  hide(): void {
    this.root.hidden = true;
  }

  private show(target: Element, lines: TipLines): void {
    fill(
      this.root,
      ...lines.map(([name, value]) =>
        element('div', {}, name === '' ? null : element('span', { class: 'muted' }, `${name} `), value),
      ),
    );
    this.root.hidden = false;
    const box = target.getClientRects()[0] ?? target.getBoundingClientRect();
    const own = this.root.getBoundingClientRect();
    const below = box.bottom + 6 + own.height < window.innerHeight;
    const left = Math.max(6, Math.min(box.left, window.innerWidth - own.width - 6));
    this.root.style.left = `${left}px`;
    this.root.style.top = `${below ? box.bottom + 6 : box.top - own.height - 6}px`;
  }
}

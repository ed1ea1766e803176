/** Token view: each token of a record in its colour, and on hover its id and bytes. */

import { hasLoss, type LossOn } from '../../src/core/mask.js';
import type { RowTokens } from '../../src/core/view/preview.js';
import { visibleText } from '../../src/core/view/visible.js';
import { element } from '../shared/dom.js';
import { appendText, formatNumber } from '../shared/text.js';
import type { TokenTip } from '../shared/tip.js';

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
  return text.slice(0, 400).replaceAll(' ', '·').replaceAll('\t', '⇥\t').replaceAll('\n', '⏎\n');
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
    const span = element('span', { class: `token ${kind}${i % 2 === 1 ? ' second' : ''}${loss ? ' loss' : ''}` });
    appendText(span, shownText(text, raw));
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
    // Lines break between words, though a dot stands for the space.
    if (text.startsWith(' ')) body.append(element('wbr'));
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

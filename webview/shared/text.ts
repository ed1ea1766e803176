/** Text of strangers: shown as text, with what would not be seen made visible. */

import { visibleParts } from '../../src/core/view/visible.js';
import { element } from './dom.js';

/** Direction is kept from left to right around it, whatever the text holds. */
export function appendText(parent: HTMLElement, text: string): void {
  for (const { text: part, hidden } of visibleParts(text)) {
    parent.append(hidden ? element('span', { class: 'unseen' }, part) : part);
  }
}

/** Marks what is looked for in the texts under an element, without changing them. */
export function highlight(root: Element, expression: RegExp | undefined): void {
  if (!('highlights' in CSS)) return;
  CSS.highlights.delete('found');
  if (expression === undefined) return;
  const ranges: Range[] = [];
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT, (node) =>
    node.parentElement?.closest('.searched') === null ? NodeFilter.FILTER_SKIP : NodeFilter.FILTER_ACCEPT,
  );
  for (let node = walker.nextNode(); node !== null && ranges.length < 500; node = walker.nextNode()) {
    const text = (node.nodeValue ?? '').slice(0, 20_000);
    for (const match of text.matchAll(expression)) {
      if (match[0] === '' || ranges.length >= 500) break;
      const range = new Range();
      range.setStart(node, match.index);
      range.setEnd(node, match.index + match[0].length);
      ranges.push(range);
    }
  }
  if (ranges.length > 0) CSS.highlights.set('found', new Highlight(...ranges));
}

/** A literal text as a regular expression. */
export function literal(text: string, matchCase: boolean): RegExp | undefined {
  if (text === '') return undefined;
  return new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), matchCase ? 'gu' : 'giu');
}

/** Made with the page: a locale takes milliseconds to read, which is no matter before there is anything to show. */
const numbers = new Intl.NumberFormat('en');

export function formatNumber(value: number): string {
  return numbers.format(value);
}

export function formatPercent(part: number, whole: number): string {
  if (whole === 0) return '–';
  const percent = (100 * part) / whole;
  return `${percent >= 10 || percent === 0 ? percent.toFixed(0) : percent.toFixed(1)} %`;
}

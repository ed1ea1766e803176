/** Strangers' text as elements: characters that nobody sees, or that turn the text around, by their names. */

import { visibleParts } from '../../src/core/view/visible.js';
import { element } from '../shared/dom.js';

export function textNodes(text: string): Node[] {
  return visibleParts(text).map(({ text: part, hidden }) =>
    hidden ? element('span', { class: 'escape' }, part) : document.createTextNode(part),
  );
}

const spaces: Readonly<Record<string, string>> = { ' ': '·', '\t': '→\t', '\n': '↵\n' };

/** The same with blanks, tabs and line ends made visible. */
export function spacedNodes(text: string): Node[] {
  return text
    .split(/([ \t\n])/)
    .flatMap((part) =>
      spaces[part] === undefined ? textNodes(part) : [element('span', { class: 'space' }, spaces[part])],
    );
}

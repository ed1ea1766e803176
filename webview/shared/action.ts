/** A button with an icon in the head of a view; `actions.css` says how it looks. */

import { element } from './dom.js';
import { type Icon, icon } from './icons.js';

export function action(name: Icon, label: string, title: string, onclick: () => void): HTMLElement {
  return element('button', { class: 'action', type: 'button', title, 'data-focus': label, onclick }, icon(name), label);
}

/** Elements made in one expression. Text is always text: there is no way through here for markup. */

type Child = Node | string | number | null | undefined | false;
type Attributes = Readonly<Record<string, string | number | boolean | null | undefined | ((event: Event) => void)>>;

/**
 * Makes an element. Functions among the attributes listen (`onclick: …` to `click`); true is an attribute without a value;
 * false, null and undefined are left out.
 */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes?: Attributes,
  ...children: Child[]
): HTMLElementTagNameMap[K];
export function element(tag: string, attributes?: Attributes, ...children: Child[]): HTMLElement;
export function element(tag: string, attributes: Attributes = {}, ...children: Child[]): HTMLElement {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') made.addEventListener(name.replace(/^on/, ''), value);
    else if (value === true) made.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, String(value));
  }
  append(made, children);
  return made;
}

/** Gives an element other children. */
export function fill(parent: Element, ...children: Child[]): void {
  parent.replaceChildren();
  append(parent, children);
}

function append(parent: Element, children: readonly Child[]): void {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(typeof child === 'number' ? String(child) : child);
  }
}

/** The element of the page that the view fills. */
export function rootElement(): HTMLElement {
  const root = document.getElementById('root');
  if (root === null) throw new Error('the page has no #root');
  return root;
}

/** Says something to screen readers, politely; the newest saying replaces what has not been read yet. */
export function makeAnnouncer(parent: HTMLElement): (text: string) => void {
  const region = element('div', { class: 'visually-hidden', role: 'status', 'aria-live': 'polite' });
  parent.append(region);
  return (text) => {
    region.textContent = text;
  };
}

/** Builds a part of the page anew; what had the focus (by its `data-focus`) has it afterwards. */
export function keepingFocus(parent: Element, build: () => void): void {
  const active = document.activeElement;
  const name = parent.contains(active) ? active?.getAttribute('data-focus') : undefined;
  build();
  if (name === undefined || name === null) return;
  for (const one of parent.querySelectorAll<HTMLElement>('[data-focus]')) {
    if (one.dataset.focus === name) one.focus({ preventScroll: true });
  }
}

/** Elements made in one expression. Text is always text: there is no way through here for markup. */

export type Child = Node | string | number | null | undefined | false;
type Listener = (event: Event) => void;
type Attributes = Readonly<Record<string, string | number | boolean | null | undefined | Listener>>;

/** What elements made here listen with, by the kind of event: an element that is kept takes over those of a newer one. */
const listeners = new WeakMap<Node, Map<string, Listener>>();

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
    if (typeof value === 'function') listen(made, name.replace(/^on/, ''), value);
    else if (value === true) made.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, String(value));
  }
  append(made, children);
  return made;
}

function listen(target: Node, type: string, listener: Listener): void {
  const own = listeners.get(target) ?? new Map<string, Listener>();
  listeners.set(target, own);
  if (!own.has(type)) target.addEventListener(type, (event) => own.get(type)?.(event));
  own.set(type, listener);
}

/** Gives an element other children. */
export function fill(parent: Element, ...children: Child[]): void {
  parent.replaceChildren();
  append(parent, children);
}

function append(parent: ParentNode, children: readonly Child[]): void {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(typeof child === 'number' ? String(child) : child);
  }
}

/**
 * Gives an element other children as `fill` does, and touches only what differs from those it has: what does not change is
 * neither laid out nor painted again, keeps its focus, and can be clicked while figures beside it run. Children with a
 * `data-focus` or `data-key` are known by it, the others by their place.
 */
export function patch(parent: Element, ...children: Child[]): void {
  const made = document.createDocumentFragment();
  append(made, children);
  keepingFocus(parent, () => take(parent, made));
}

function take(parent: Node, from: Node): void {
  /** Of those that are still to come, made where one is not in its place. */
  let known: Map<string | null, ChildNode> | undefined;
  let next = parent.firstChild;
  for (let fresh = from.firstChild, following = fresh; fresh !== null; fresh = following) {
    following = fresh.nextSibling;
    const key = keyOf(fresh);
    let old = next;
    if (key !== null && (next === null || keyOf(next) !== key)) {
      known ??= byKey(next);
      old = known.get(key) ?? null;
    }
    if (old === null || old.nodeName !== fresh.nodeName || keyOf(old) !== key) {
      parent.insertBefore(fresh, next);
      continue;
    }
    known?.delete(key);
    if (old === next) next = old.nextSibling;
    else parent.insertBefore(old, next);
    if (fresh instanceof Element && old instanceof Element) become(old, fresh);
    else if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
  }
  while (next !== null) {
    const gone = next;
    next = next.nextSibling;
    gone.remove();
  }
}

function byKey(first: ChildNode | null): Map<string | null, ChildNode> {
  const found = new Map<string | null, ChildNode>();
  for (let one = first; one !== null; one = one.nextSibling) found.set(keyOf(one), one);
  return found;
}

function become(old: Element, fresh: Element): void {
  for (const name of old.getAttributeNames()) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) {
    // A policy of the page forbids styles as attributes, but not as properties.
    if (name !== 'style' && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  if (isStyled(old) && isStyled(fresh) && old.style.cssText !== fresh.style.cssText) {
    old.style.cssText = fresh.style.cssText;
  }
  if (old instanceof HTMLInputElement && fresh instanceof HTMLInputElement) old.checked = fresh.checked;
  for (const type of listeners.get(old)?.keys() ?? []) listen(old, type, () => undefined);
  for (const [type, listener] of listeners.get(fresh) ?? []) listen(old, type, listener);
  take(old, fresh);
}

function isStyled(one: Element): one is HTMLElement | SVGElement {
  return 'style' in one;
}

function keyOf(node: Node): string | null {
  return node instanceof HTMLElement ? (node.getAttribute('data-focus') ?? node.getAttribute('data-key')) : null;
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

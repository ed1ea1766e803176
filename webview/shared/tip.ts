/** What a token is, beside the pointer. */

import { element, fill } from './dom.js';

type TipLines = readonly (readonly [string, string])[];

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

  show(target: Element, lines: TipLines): void {
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

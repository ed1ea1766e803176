/** Which curve is which; a click switches a run, a set or training off and on. */

import { element, patch } from '../shared/dom.js';
import { type Marker, trainSet } from './curves.js';
import type { View } from './view.js';
import { toggled } from './view.js';

/** A piece of a curve as charts draw it. */
export function swatch(color: string, kind: Marker | 'line', dash: readonly number[] = []): SVGSVGElement {
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg');
  svg.setAttribute('viewBox', '0 0 16 10');
  svg.setAttribute('class', 'swatch');
  svg.setAttribute('aria-hidden', 'true');
  svg.style.color = color;
  const path = document.createElementNS(space, 'path');
  path.setAttribute('d', 'M1 5h14');
  path.setAttribute('class', 'stroke');
  if (dash.length > 0) path.setAttribute('stroke-dasharray', dash.map((part) => part * 0.6).join(' '));
  svg.append(path);
  const marks: Partial<Record<typeof kind, string>> = {
    circle: 'M8 2a3 3 0 1 0 .01 0z',
    square: 'M5.2 2.2h5.6v5.6H5.2z',
    triangle: 'M8 1.4 11.3 7.8H4.7z',
    diamond: 'M8 1.2 11.8 5 8 8.8 4.2 5z',
  };
  const shape = marks[kind];
  if (shape !== undefined) {
    const dot = document.createElementNS(space, 'path');
    dot.setAttribute('d', shape);
    dot.setAttribute('class', 'fill');
    svg.append(dot);
  }
  return svg;
}

export class Legend {
  readonly root = element('div', { class: 'legend', role: 'group', 'aria-label': 'Curves shown' });

  constructor(private readonly view: View) {}

  render(): void {
    const { view, root } = this;
    const { looks, state, runs } = view;
    const many = looks.byRun;
    patch(
      root,
      ...(many
        ? runs.map((run) =>
            this.chip(
              run.key,
              run.info.label,
              swatch(looks.runColor(run.key), 'line', looks.runDash(run)),
              !state.hiddenRuns.includes(run.key),
              () => view.change({ hiddenRuns: toggled(state.hiddenRuns, run.key) }),
              (on) => view.setEmphasis(on ? run.key : undefined),
            ),
          )
        : []),
      many ? element('span', { class: 'divider', role: 'presentation' }) : null,
      this.chip(
        'set:train',
        'train',
        swatch(many ? 'var(--vscode-foreground)' : looks.setColor(trainSet), 'line'),
        state.train,
        () => view.change({ train: !state.train }),
      ),
      ...looks.sets.map((set) =>
        this.chip(
          `set:${set}`,
          set,
          swatch(many ? 'var(--vscode-foreground)' : looks.setColor(set), looks.marker(set)),
          !state.hiddenSets.includes(set),
          () => view.change({ hiddenSets: toggled(state.hiddenSets, set) }),
        ),
      ),
    );
  }

  private chip(
    name: string,
    label: string,
    piece: SVGSVGElement,
    pressed: boolean,
    onclick: () => void,
    emphasize: (on: boolean) => void = () => undefined,
  ): HTMLButtonElement {
    return element(
      'button',
      {
        ...{
          class: 'chip',
          type: 'button',
          'aria-pressed': String(pressed),
          'data-focus': name,
          title: label,
          onclick,
        },
        onmouseenter: () => emphasize(true),
        onmouseleave: () => emphasize(false),
        onfocus: ({ target }) => {
          if (target instanceof Element && target.matches(':focus-visible')) emphasize(true);
        },
        onblur: () => emphasize(false),
      },
      piece,
      element('span', { class: 'chip-label' }, label),
    );
  }
}

/** Small drawings for buttons, 16 by 16, in the colour of the text. */

const shapes = {
  check: 'M13.5 4 6.2 11.8 2.5 8.4',
  cross: 'M4 4l8 8M12 4l-8 8',
  stop: 'M4.5 4.5h7v7h-7z',
  play: 'M5 3.2 12.4 8 5 12.8z',
  plus: 'M8 3v10M3 8h10',
  enlarge: 'M9.5 2.5h4v4M13.5 2.5l-4.7 4.7M6.5 13.5h-4v-4M2.5 13.5l4.7-4.7',
  reduce: 'M13.5 6.5h-4v-4M9.5 6.5l4.5-4.5M2.5 9.5h4v4M6.5 9.5 2 14',
  image: 'M2.5 3.5h11v9h-11zM2.5 11l3.4-3.6 2.6 2.5 2-1.8 3 2.9M10.6 6.1v.1',
  table: 'M2.5 3.5h11v9h-11zM2.5 6.5h11M6.5 6.5v6',
  chat: 'M2.5 3.5h11v7.5H7.6L4.6 13.5V11H2.5zM5 6.2h6M5 8.4h4',
  log: 'M3.5 2.5h9v11h-9zM5.7 5.5h4.6M5.7 8h4.6M5.7 10.5h2.8',
  terminal: 'M2.5 3.5h11v9h-11zM4.8 6l2 2-2 2M8.4 10h2.8',
  gear: 'M2.5 4.5h6.2M11.8 4.5h1.7M2.5 11.5h1.7M7.3 11.5h6.2M10.2 6a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3zM5.8 13a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3z',
  reset: 'M3 8a5 5 0 1 0 1.6-3.7M4.4 1.8v2.7h2.7',
  down: 'M4 6l4 4 4-4',
  left: 'M10 3.5 5.5 8l4.5 4.5',
  right: 'M6 3.5 10.5 8 6 12.5',
  warning: 'M8 2.5 14 13H2zM8 6.5v3M8 11.2v.3',
  star: 'M8 2.2l1.8 3.7 4 .6-2.9 2.8.7 4L8 11.4l-3.6 1.9.7-4L2.2 6.5l4-.6z',
  chart: 'M2.5 2.5v11h11M4.8 10.2l2.9-3.4 2.4 2 3.1-4.3',
  diff: 'M8 2.5v5M5.5 5h5M5.5 11.5h5',
} as const;

export type Icon = keyof typeof shapes;

/** Decoration: what a button does is in its text or label. */
export function icon(name: Icon): SVGSVGElement {
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg');
  svg.setAttribute('viewBox', '0 0 16 16');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(space, 'path');
  path.setAttribute('d', shapes[name]);
  svg.append(path);
  return svg;
}

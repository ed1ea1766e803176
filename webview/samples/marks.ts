/** Right and wrong as small drawings that are told apart without colour: a disc, a cross, a dot. */

const space = 'http://www.w3.org/2000/svg';
type Verdict = -1 | 0 | 1;

const shapes: Readonly<Record<Verdict, readonly [string, string]>> = {
  1: ['mark right', 'M-3.4 0a3.4 3.4 0 1 0 6.8 0a3.4 3.4 0 1 0 -6.8 0z'],
  0: ['mark wrong', 'M-2.8 -2.8L2.8 2.8M-2.8 2.8L2.8 -2.8'],
  [-1]: ['mark none', 'M-1.3 0a1.3 1.3 0 1 0 2.6 0a1.3 1.3 0 1 0 -2.6 0z'],
};

export function svgElement<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string | number>> = {},
): SVGElementTagNameMap[K] {
  const made = document.createElementNS(space, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  return made;
}

export function markPath(verdict: Verdict): SVGPathElement {
  const [kind, path] = shapes[verdict];
  return svgElement('path', { class: kind, d: path });
}

const mostMarks = 14;
const pitch = 11;

/** A course as marks in a row; of a long one those at even distances, with the last. */
export function markRow(verdicts: readonly Verdict[]): SVGSVGElement {
  const shown = thinned(verdicts, mostMarks);
  const width = Math.max(1, shown.length) * pitch;
  const svg = svgElement('svg', {
    ...{ class: 'marks', viewBox: `0 -5 ${width} 10`, width, height: 10, 'aria-hidden': 'true' },
  });
  for (const [i, verdict] of shown.entries()) {
    const path = markPath(verdict);
    path.setAttribute('transform', `translate(${i * pitch + pitch / 2} 0)`);
    svg.append(path);
  }
  return svg;
}

function thinned<T>(list: readonly T[], most: number): T[] {
  if (list.length <= most) return [...list];
  return Array.from({ length: most }, (_, i) => list.slice(Math.round((i * (list.length - 1)) / (most - 1)))[0]).filter(
    (one) => one !== undefined,
  );
}

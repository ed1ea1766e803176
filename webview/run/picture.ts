/** Charts as one PNG: title, legend and curves in the theme's colours. */

import { unitName } from '../../src/core/view/charts.js';
import { axisTitles } from './axes.js';
import type { ChartCard } from './card.js';
import { type Marker, trainSet } from './curves.js';
import { inkOf, Raster, shapeOf } from './raster.js';
import type { View } from './view.js';

const gap = 20;
const line = 20;

export async function drawPicture(cards: readonly ChartCard[], view: View): Promise<ArrayBuffer | undefined> {
  const pictures = cards.filter(({ picture }) => picture.width > 0);
  const first = pictures[0];
  if (first === undefined) return undefined;
  const { theme, looks, shown, state } = view;
  const ratio = window.devicePixelRatio;
  const width = Math.max(...pictures.map(({ picture }) => picture.width / ratio));
  const height = Math.max(...pictures.map(({ picture }) => picture.height / ratio));
  const columns = pictures.length === 1 ? 1 : pictures.length <= 4 ? 2 : 3;
  const rows = Math.ceil(pictures.length / columns);
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d');
  if (context === null) return undefined;
  const total = columns * (width + gap) + gap;
  const entries = looks.byRun
    ? [
        ...shown.map((run) => ({
          ...{ color: looks.runColor(run.key), label: run.info.label, dash: looks.runDash(run), marker: undefined },
        })),
        ...looks.sets.map((set) => ({ color: theme.foreground, label: set, dash: [], marker: looks.marker(set) })),
      ]
    : [trainSet, ...looks.sets].map((set) => ({
        ...{ color: looks.setColor(set), label: set, dash: [] },
        marker: set === trainSet ? undefined : looks.marker(set),
      }));
  const font = (size: number, weight = 400): string => `${weight} ${theme.fontSize * size}px ${theme.fontFamily}`;
  context.font = font(0.92);
  const legend = layOut(entries, total - 2 * gap, (label) => context.measureText(label).width);
  const top = gap + line + legend.height + gap / 2;
  canvas.width = Math.ceil(total * ratio);
  canvas.height = Math.ceil((top + rows * (height + line + gap)) * ratio);
  context.scale(ratio, ratio);
  context.fillStyle = theme.background;
  context.fillRect(0, 0, total, canvas.height / ratio);
  context.fillStyle = theme.foreground;
  context.textBaseline = 'top';
  context.font = font(1.1, 600);
  const runs = view.shown;
  const only = runs.length === 1 ? runs[0] : undefined;
  const title = only?.info.label ?? [...new Set(runs.map(({ info }) => info.experiment))].join(', ');
  context.fillText(`${title} · by ${axisTitles[state.xAxis].toLowerCase()}`, gap, gap);
  context.font = font(0.92);
  const pieces = new Raster();
  for (const { x, y, color, label, dash, marker } of legend.places) {
    pieces.begin(14 * ratio, 8 * ratio, 2 * ratio);
    const ink = inkOf(color);
    const pattern = dash.map((part) => part * 0.6 * ratio);
    pieces.line(Float32Array.of(0, 4 * ratio, 14 * ratio, 4 * ratio), 2, 2 * ratio, ink, pattern);
    if (marker !== undefined) pieces.mark(shapeOf(marker, 3 * ratio), 7 * ratio, 4 * ratio, ink);
    pieces.paint(context, gap + x, gap + line + y + 4, ratio);
    context.fillStyle = theme.foreground;
    context.fillText(label, gap + x + 20, gap + line + y + 2);
  }
  for (const [i, { picture, definition }] of pictures.entries()) {
    const x = gap + (i % columns) * (width + gap);
    const y = top + Math.floor(i / columns) * (height + line + gap);
    context.fillStyle = theme.foreground;
    context.font = font(0.95, 600);
    const unit = unitName(definition.unit);
    context.fillText(definition.title + (unit === '' ? '' : ` (${unit})`), x, y);
    context.drawImage(picture, x, y + line, picture.width / ratio, picture.height / ratio);
  }
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/png'));
  return blob?.arrayBuffer();
}

interface Entry {
  readonly color: string;
  readonly label: string;
  readonly dash: readonly number[];
  /** Of evaluations. */
  readonly marker: Marker | undefined;
}

/** Entries in lines, as words in a paragraph. */
function layOut(
  entries: readonly Entry[],
  width: number,
  measure: (label: string) => number,
): { places: (Entry & { x: number; y: number })[]; height: number } {
  let x = 0;
  let y = 0;
  const places = entries.map((entry) => {
    const needed = 20 + measure(entry.label) + 18;
    if (x > 0 && x + needed > width) {
      x = 0;
      y += line;
    }
    const place = { ...entry, x, y };
    x += needed;
    return place;
  });
  return { places, height: y + line };
}

/** A file's name for a picture, without its ending. */
export function pictureName(cards: readonly ChartCard[], view: View): string {
  const [first] = view.shown;
  const runs = view.shown.length === 1 ? (first?.info.name ?? 'run') : (first?.info.experiment ?? 'runs');
  const [card] = cards;
  return cards.length === 1 && card !== undefined ? `${runs}-${card.definition.id}` : runs;
}

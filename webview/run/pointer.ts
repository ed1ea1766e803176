/**
 * Mouse and keyboard on a chart. Drag: zoom to what is marked. Shift and drag, or the wheel sideways: pan. Ctrl or ⌘ and the
 * wheel, or a pinch: zoom. Double click: all. Keys: arrows move the cursor, with Shift the view; + and − zoom, 0 shows all.
 */

import { panned, type Span, sayX, zoomed } from './axes.js';
import type { ChartCard } from './card.js';
import { toggled, type View } from './view.js';

/** Pixels that a hand shakes: a shorter drag is a click. */
const slack = 4;

export function watchPointer(frame: HTMLElement, card: ChartCard, view: View): void {
  const id = card.definition.id;
  let drag: { from: number; pan: Span | undefined } | undefined;

  const valueAt = (clientX: number): number | undefined => {
    const { area } = card;
    if (area === undefined) return undefined;
    const { span } = view;
    const share = (clientX - frame.getBoundingClientRect().left - area.left) / (area.right - area.left);
    return span.from + Math.min(1, Math.max(0, share)) * (span.to - span.from);
  };
  const pixel = (clientX: number): number => {
    const left = clientX - frame.getBoundingClientRect().left;
    const { area } = card;
    return area === undefined ? left : Math.min(Math.max(left, area.left), area.right);
  };
  const perPixel = (): number => {
    const { area } = card;
    return area === undefined ? 0 : (view.span.to - view.span.from) / (area.right - area.left);
  };

  frame.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    frame.setPointerCapture(event.pointerId);
    frame.focus({ preventScroll: true });
    drag = { from: event.clientX, pan: event.shiftKey ? view.span : undefined };
    event.preventDefault();
  });
  frame.addEventListener('pointermove', (event) => {
    if (drag?.pan !== undefined) {
      view.move(panned(drag.pan, view.whole, (drag.from - event.clientX) * perPixel()));
      return;
    }
    if (drag !== undefined && Math.abs(event.clientX - drag.from) > slack) {
      card.select({ from: pixel(drag.from), to: pixel(event.clientX) });
    }
    const x = valueAt(event.clientX);
    if (x !== undefined) view.setCursor({ x, chart: id });
  });
  const end = (event: PointerEvent): void => {
    const began = drag;
    drag = undefined;
    card.select(null);
    if (began === undefined || began.pan !== undefined || Math.abs(event.clientX - began.from) <= slack) return;
    const [a, b] = [valueAt(began.from), valueAt(event.clientX)];
    if (a === undefined || b === undefined || a === b) return;
    view.move({ from: Math.min(a, b), to: Math.max(a, b) });
  };
  frame.addEventListener('pointerup', end);
  frame.addEventListener('pointercancel', () => {
    drag = undefined;
    card.select(null);
  });
  frame.addEventListener('pointerleave', () => {
    if (drag === undefined) view.setCursor(null);
  });
  frame.addEventListener('dblclick', () => view.move(null));
  frame.addEventListener(
    'wheel',
    (event) => {
      const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
      if (event.ctrlKey || event.metaKey) {
        const center = valueAt(event.clientX);
        if (center === undefined) return;
        event.preventDefault();
        view.move(zoomed(view.span, view.whole, center, Math.exp(clamp(event.deltaY, 120) * 0.003)));
      } else if (Math.abs(sideways) > (event.shiftKey ? 0 : Math.abs(event.deltaY)) && view.state.zoom !== null) {
        event.preventDefault();
        view.move(panned(view.span, view.whole, sideways * perPixel()));
      }
    },
    { passive: false },
  );

  /** Moves the axis by a key, and says what is seen then. */
  const moveAloud = (span: Span | null): void => {
    view.move(span);
    const { xAxis } = view.state;
    const { from, to } = view.span;
    view.announce(span === null ? 'All is shown' : `From ${sayX(from, xAxis)} to ${sayX(to, xAxis)}`);
  };

  frame.addEventListener('keydown', (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const { span, whole, cursor } = view;
    const width = span.to - span.from;
    const at = cursor?.x ?? (span.from + span.to) / 2;
    const put = (x: number): void => {
      const inside = Math.min(Math.max(x, span.from), span.to);
      view.setCursor({ x: inside, chart: id });
      card.sayCursor();
    };
    switch (event.key) {
      case 'ArrowLeft':
      case 'ArrowRight': {
        const sign = event.key === 'ArrowLeft' ? -1 : 1;
        if (event.shiftKey) moveAloud(panned(span, whole, (sign * width) / 8));
        else put(at + (sign * width) / 60);
        break;
      }
      case 'Home':
        put(span.from);
        break;
      case 'End':
        put(span.to);
        break;
      case '+':
      case '=':
        moveAloud(zoomed(span, whole, at, 0.7));
        break;
      case '-':
        moveAloud(zoomed(span, whole, at, 1 / 0.7));
        break;
      case '0':
        moveAloud(null);
        break;
      case 'l':
      case 'L':
        view.change({ logCharts: toggled(view.state.logCharts, id) });
        break;
      case 'Enter':
        view.change({ enlarged: view.state.enlarged === id ? null : id });
        break;
      case 'Escape':
        if (view.state.enlarged !== null) view.change({ enlarged: null });
        else if (view.state.zoom !== null) moveAloud(null);
        else view.setCursor(null);
        break;
      default:
        return;
    }
    event.preventDefault();
  });
  frame.addEventListener('blur', () => {
    if (view.cursor?.chart === id) view.setCursor(null);
  });
}

function clamp(value: number, size: number): number {
  return Math.min(size, Math.max(-size, value));
}

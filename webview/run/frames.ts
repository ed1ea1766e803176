/** Who draws in the next frame: the most urgent first, as many as fit, the rest in the frames after. */

export interface Drawable {
  /** Lower goes first; Infinity: not on the screen, and not drawn until it is. */
  readonly urgency: () => number;
  draw(): void;
}

/** Of the 16 ms of a frame, what drawing may take before it leaves the rest to the next. */
const budgetMs = 8;

export class Frames {
  private readonly waiting = new Set<Drawable>();
  private asked = false;
  /** Called before the first drawing of a frame. */
  onFrame: (() => void) | undefined;

  request(drawables: Iterable<Drawable>): void {
    for (const drawable of drawables) this.waiting.add(drawable);
    this.ask();
  }

  /** Things on the screen changed place. */
  ask(): void {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => this.frame());
  }

  private frame(): void {
    this.asked = false;
    const began = performance.now();
    this.onFrame?.();
    const order = [...this.waiting]
      .map((drawable) => ({ drawable, urgency: drawable.urgency() }))
      .filter(({ urgency }) => urgency !== Infinity)
      .sort((a, b) => a.urgency - b.urgency);
    let left = order.length;
    for (const { drawable } of order) {
      this.waiting.delete(drawable);
      drawable.draw();
      left--;
      if (performance.now() - began > budgetMs) break;
    }
    if (left > 0) this.ask();
  }
}

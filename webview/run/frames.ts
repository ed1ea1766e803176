/** Who draws in the next frame: first what a person looks at, then what has waited longest, as many as fit. */

export interface Drawable {
  /** Lower goes first; negative: whatever waits; Infinity: not on the screen, and not drawn until it is. */
  readonly urgency: () => number;
  /** Whether it has never been drawn: then a person waits for it, and nothing moves yet that could falter. */
  readonly blank: () => boolean;
  draw(): void;
}

/** Of the 16 ms of a frame, what drawing may take before it leaves the rest to the next. */
const budgetMs = 6;
/** The same for what is drawn for the first time. */
const firstBudgetMs = 40;

export class Frames {
  /** The frame since which each one waits. */
  private readonly waiting = new Map<Drawable, number>();
  private asked = false;
  private count = 0;

  request(drawables: Iterable<Drawable>): void {
    for (const drawable of drawables) {
      if (!this.waiting.has(drawable)) this.waiting.set(drawable, this.count);
    }
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
    this.count++;
    const began = performance.now();
    const order = [...this.waiting]
      .map(([drawable, since]) => ({ drawable, since, urgency: drawable.urgency(), blank: drawable.blank() }))
      .filter(({ urgency }) => urgency !== Infinity)
      .sort((a, b) => Number(b.urgency < 0) - Number(a.urgency < 0) || a.since - b.since || a.urgency - b.urgency);
    let left = 0;
    for (const { drawable, blank } of order) {
      if (performance.now() - began > (blank ? firstBudgetMs : budgetMs)) {
        left++;
        continue;
      }
      this.waiting.delete(drawable);
      drawable.draw();
    }
    if (left > 0) this.ask();
  }
}

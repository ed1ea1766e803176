/** Who draws in the next frame: first what a person looks at, then what has waited longest, as many as fit. */

export interface Drawable {
  /** Lower goes first; negative: whatever waits; Infinity: not on the screen, and not drawn until it is. */
  readonly urgency: () => number;
  /** Whether it has never been drawn: then a person waits for it, and nothing moves yet that could falter. */
  readonly blank: () => boolean;
  draw(): void;
  /** After the first drawing, as long as there is time: makes what later ones will need. @returns whether all is made */
  finish(hasTime: () => boolean): boolean;
}

/** Of the 16 ms of a frame, what preparing and drawing may take before the rest is left to the next. */
const budgetMs = 5;
/** The same for what is drawn for the first time. */
const firstBudgetMs = 60;

export class Frames {
  /** The frame since which each one waits. */
  private readonly waiting = new Map<Drawable, number>();
  /** Drawn once, and not more than that. */
  private readonly unfinished = new Set<Drawable>();
  /** Milliseconds that each one took when it was last drawn. */
  private readonly took = new WeakMap<Drawable, number>();
  private asked = false;
  private count = 0;
  /** Whether ever one was drawn, and whether in the last frame none of those that wait was. */
  private first = true;
  private starved = false;

  /** @param prepare what comes first in every frame; what it requests may be drawn in the same one */
  constructor(private readonly prepare: () => void) {}

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
    this.prepare();
    const order = [...this.waiting]
      .map(([drawable, since]) => ({ drawable, since, urgency: drawable.urgency(), blank: drawable.blank() }))
      .filter(({ urgency }) => urgency !== Infinity)
      .sort((a, b) => Number(b.urgency < 0) - Number(a.urgency < 0) || a.since - b.since || a.urgency - b.urgency);
    let left = 0;
    let drawn = 0;
    /** What the dearest drawing of this frame took: what is blank may take as long. */
    let longest = 0;
    for (const { drawable, blank } of order) {
      const start = performance.now();
      const elapsed = start - began;
      // One at least in every frame, or in every second where the frame is already half over.
      const must = drawn === 0 && (blank || this.starved || elapsed < budgetMs / 2);
      const expected = blank ? longest : (this.took.get(drawable) ?? longest);
      // The very first one is shown before the next is begun.
      if (!must && (this.first || elapsed + expected > (blank ? firstBudgetMs : budgetMs))) {
        left++;
        continue;
      }
      this.waiting.delete(drawable);
      drawable.draw();
      const took = performance.now() - start;
      this.took.set(drawable, took);
      longest = Math.max(longest, took);
      drawn++;
      if (blank) this.unfinished.add(drawable);
    }
    this.first &&= drawn === 0;
    this.starved = drawn === 0 && left > 0;
    if (left > 0) this.ask();
    else if (this.unfinished.size > 0) requestIdleCallback((deadline) => this.finish(deadline));
  }

  /** Piece by piece, so that no frame waits. */
  private finish(deadline: IdleDeadline): void {
    for (const one of this.unfinished) {
      if (!one.finish(() => deadline.timeRemaining() > 1)) break;
      this.unfinished.delete(one);
    }
    if (this.unfinished.size > 0) requestIdleCallback((next) => this.finish(next));
  }
}

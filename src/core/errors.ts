/** Where in a user's file something is wrong. `line` counts from 1; `field` is a dotted path such as `messages[2].role`. */
export interface Place {
  readonly file?: string;
  readonly line?: number;
  readonly field?: string;
}

/**
 * What went wrong, where, and what to do about it: the one error class that people are meant to read.
 *
 * Anything else that is thrown is a defect of ours and is shown with its stack.
 */
export class LabError extends Error {
  readonly place: Place;
  /** What the reader can do now, one sentence. */
  readonly advice: string | undefined;

  constructor(message: string, options: { place?: Place; advice?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'LabError';
    this.place = options.place ?? {};
    this.advice = options.advice;
  }
}

/** The system's word for what went wrong, as `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** `file:line: field: message` and, on a line of its own, the advice. */
export function formatError(error: unknown): string {
  if (!(error instanceof LabError)) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  const { file, line, field } = error.place;
  const where = [file === undefined ? undefined : line === undefined ? file : `${file}:${line}`, field].filter(
    (part) => part !== undefined,
  );
  const head = [...where, error.message].join(': ');
  return error.advice === undefined ? head : `${head}\n  ${error.advice}`;
}

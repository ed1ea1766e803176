/** Errors on their way between a worker and the thread that asks. */

import { LabError } from '../core/errors.js';
import type { Failure } from './protocol.js';

export function failureOf(error: unknown): Failure {
  if (error instanceof LabError) {
    return { lab: true, message: error.message, place: error.place, advice: error.advice, stack: error.stack };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { lab: false, message, place: {}, advice: undefined, stack: error instanceof Error ? error.stack : undefined };
}

export function errorOf({ lab, message, place, advice, stack }: Failure): Error {
  if (lab) return new LabError(message, { place, ...(advice === undefined ? {} : { advice }) });
  const error = new Error(message);
  if (stack !== undefined) error.stack = stack;
  return error;
}

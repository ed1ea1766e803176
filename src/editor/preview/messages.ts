/** Errors in words for the page, which knows the file. */

import { LabError } from '../../core/errors.js';

export function messageOf(error: unknown): string {
  if (!(error instanceof LabError)) return error instanceof Error ? error.message : String(error);
  const { field, line } = error.place;
  const where = [line === undefined ? undefined : `line ${line}`, field].filter((part) => part !== undefined);
  return [...where, error.message].join(': ');
}

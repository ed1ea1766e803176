/** How commands end: exit codes, and errors in words. */

import { formatError, LabError } from '../core/errors.js';

export const exitCode = { ok: 0, failure: 1, usage: 2, interrupted: 130 } as const;
export type ExitCode = (typeof exitCode)[keyof typeof exitCode];

/** A mistake in the command line or in a config: nothing was begun. */
export class UsageError extends Error {
  constructor(readonly error: LabError) {
    super(error.message, { cause: error });
    this.name = 'UsageError';
  }
}

/** Marks whatever LabError comes out of `work` as a mistake of usage. */
export async function asUsage<T>(work: () => Promise<T> | T): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof LabError ? new UsageError(error) : error;
  }
}

export function exitCodeOf(error: unknown): ExitCode {
  return error instanceof UsageError ? exitCode.usage : exitCode.failure;
}

export function describeFailure(error: unknown): string {
  if (error instanceof UsageError) return formatError(error.error);
  if (error instanceof LabError) return formatError(error);
  return `This is a defect of SFT Lab:\n${formatError(error)}`;
}

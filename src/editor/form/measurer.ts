/** Measures a config by `sft-lab measure` in a process of its own, one at a time; a newer one ends the one before. */

import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import type { RunConfigInput } from '../../core/config.js';
import { LabError } from '../../core/errors.js';
import { type Measurement, measurementSchema, refusalSchema } from '../../core/measurement.js';

export interface MeasurerOptions {
  /** The Node that runs the trainer, and `dist/cli.js`. */
  readonly node: string;
  readonly program: string;
}

/**
 * @param folder what relative paths of the config stand in
 * @throws LabError where the config would not train; the signal's reason where it was given up
 */
export async function measureConfig(
  { node, program }: MeasurerOptions,
  config: RunConfigInput,
  folder: string,
  signal: AbortSignal,
): Promise<Measurement> {
  signal.throwIfAborted();
  const child = spawn(node, [program, 'measure', '-', '--json'], {
    cwd: folder,
    // In VS Code the editor's own program is Node when told so.
    env: { ...process.env, ELECTRON_RUN_AS_NODE: '1', NODE_OPTIONS: undefined },
    stdio: 'pipe',
    windowsHide: true,
    signal,
    killSignal: 'SIGKILL',
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  ended.catch(() => undefined);
  // A process that ends at once closes its input; what it says is read all the same.
  child.stdin.on('error', () => undefined);
  child.stdin.end(JSON.stringify(config));
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]).catch((error: unknown) => {
    signal.throwIfAborted();
    throw error;
  });
  const code = await ended.catch((error: unknown) => {
    signal.throwIfAborted();
    throw error;
  });
  return readAnswer(out, err, code);
}

/** What the program printed. */
export function readAnswer(out: string, err: string, code: number | null): Measurement {
  let value: unknown;
  try {
    value = JSON.parse(out);
  } catch {
    const reason = err.trim().split('\n').slice(-6).join('\n');
    throw new LabError(reason === '' ? `the measurement ended with code ${code ?? 'of a signal'}` : reason);
  }
  const refusal = refusalSchema.safeParse(value);
  if (refusal.success) {
    const { message, advice, file, line, field } = refusal.data.error;
    throw new LabError(message, {
      place: {
        ...(file === undefined ? {} : { file }),
        ...(line === undefined ? {} : { line }),
        ...(field === undefined ? {} : { field }),
      },
      ...(advice === undefined ? {} : { advice }),
    });
  }
  return measurementSchema.parse(value);
}

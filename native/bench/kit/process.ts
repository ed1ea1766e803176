/** Child processes whose output is read line by line. */

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import type { RunResult, StepMark } from './work.js';

interface Watched {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** A step that has ended, where the line tells of one. */
  readonly step: (line: string) => StepMark | undefined;
}

/** Runs a trainer to its end. Throws with the end of its error output where it fails. */
export async function watchSteps({ command, args, cwd, env, step }: Watched): Promise<RunResult> {
  // Certificates that Node is told to read at its start take it 50 ms, and nothing here speaks to anybody.
  const { NODE_EXTRA_CA_CERTS: _certificates, ...around } = process.env;
  const started = Date.now() / 1000;
  const child = spawn(command, args, { cwd, env: { ...around, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const leave = () => child.kill('SIGKILL');
  process.once('exit', leave);
  const exited = new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (signal !== null) reject(new Error(`ended by ${signal}`));
      else resolve(code ?? 1);
    });
  });
  // Until the lines are read nobody waits for it.
  exited.catch(() => undefined);
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-4000);
  });
  const steps: StepMark[] = [];
  let peakBytes = 0;
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      const mark = step(line);
      if (mark === undefined) continue;
      steps.push(mark);
      peakBytes = Math.max(peakBytes, child.pid === undefined ? 0 : highWater(child.pid));
    }
    const code = await exited;
    if (code !== 0) throw new Error(errors.trim().split('\n').slice(-12).join('\n') || `exit code ${code}`);
  } finally {
    process.off('exit', leave);
    leave();
  }
  return { started, steps, peakBytes };
}

/** VmHWM of a live process, in bytes; 0 once it is gone. */
function highWater(pid: number): number {
  try {
    return 1024 * Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

const peerPrefix = '@bench ';
const peerStep = z.object({ step: z.number(), time: z.number(), loss: z.number() });

/** A step as peers report it (peers/common.py). */
export function parsePeerStep(line: string): StepMark | undefined {
  return line.startsWith(peerPrefix) ? peerStep.parse(JSON.parse(line.slice(peerPrefix.length))) : undefined;
}

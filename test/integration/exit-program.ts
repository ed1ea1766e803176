/** Leaves in the middle of the engine's work; `exit.test.ts` bundles this and starts it. */

import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { type Model, openModel } from '../../src/engine/index.js';

export interface Task {
  /** A model's folder with its `config.json`. */
  readonly directory: string;
  readonly work: 'train' | 'generate' | 'open';
  /** `worker`: the engine works in a thread of Node's, and the main one exits. `listener`: another listener exits first. */
  readonly way: 'exit' | 'throw' | 'reject' | 'worker' | 'listener';
  /** Milliseconds from the start of the work to the way out. */
  readonly delay: number;
  /** Whether a step is done and timed before. */
  readonly timed: boolean;
  readonly sequences: number;
  readonly length: number;
}

async function trainStep(model: Model, { sequences, length }: Task): Promise<void> {
  const tokens = Int32Array.from({ length: sequences * length }, (_, i) => i % 500);
  const last = (i: number): boolean => i % length === length - 1;
  await model.accumulate({
    tokens,
    targets: tokens.map((token) => (token + 1) % 500),
    offsets: Int32Array.from({ length: sequences + 1 }, (_, i) => i * length),
    weights: Float32Array.from(tokens, (_, i) => (last(i) ? 0 : 1)),
    groups: Uint8Array.from(tokens, (_, i) => (last(i) ? 0 : 2)),
  });
  const adam = { weightDecay: 0, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
  await model.update({ learningRate: 1e-3, maxGradNorm: 1, ...adam });
}

async function generate(model: Model, { sequences, length }: Task): Promise<void> {
  const prompts = Array.from({ length: sequences }, (_, i) => Int32Array.from({ length }, (_, j) => i + j));
  const options = { maxNewTokens: 400, temperature: 1, topK: 0, topP: 1, seed: 1, stopTokens: new Int32Array() };
  await model.generate(prompts, options);
}

let stepMilliseconds = 0;

function leave({ way }: Task): void {
  process.stdout.write(`${Date.now()} ${stepMilliseconds}\n`);
  if (way === 'throw') throw new Error('thrown on purpose');
  if (way === 'reject') void Promise.reject(new Error('thrown on purpose'));
  else process.exit(7);
}

async function workOn(task: Task, begun: () => void): Promise<never> {
  const { directory } = task;
  const open = (): Promise<Model> =>
    openModel({ directory, device: 'cpu', precision: 'fp32', threads: 2, seed: 1, mode: 'train', initialize: true });
  if (task.work === 'open') {
    begun();
    for (;;) await (await open()).close();
  }
  const model = await open();
  if (task.timed) {
    const began = performance.now();
    await trainStep(model, task);
    stepMilliseconds = performance.now() - began;
  }
  begun();
  for (;;) await (task.work === 'train' ? trainStep : generate)(model, task);
}

if (parentPort !== null) {
  const port = parentPort;
  await workOn(workerData as Task, () => port.postMessage('begun'));
} else if (isMainThread) {
  const task = JSON.parse(process.argv[2] ?? '') as Task;
  const leaveLater = (): void => void setTimeout(() => leave(task), task.delay);
  if (task.way === 'listener') process.on('exit', () => process.exit(7));
  if (task.way === 'worker') {
    new Worker(new URL(import.meta.url), { workerData: task }).once('message', leaveLater);
  } else {
    await workOn(task, leaveLater);
  }
}

/** Our side: `sft-lab train`, as a person runs it. */

import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunConfigInput } from '../../../src/core/config.js';
import { parseEvent } from '../../../src/core/events.js';
import { watchSteps } from './process.js';
import { loraAlpha, loraRank, type OwnFigures, type RunResult, type Side, type StepMark, type Work } from './work.js';

/**
 * @param root the project's folder
 * @param scratch a folder for run folders; they are removed
 */
export function ourSide(root: string, scratch: string): Side {
  return {
    name: 'SFT Lab',
    async run(work: Work): Promise<RunResult> {
      const folder = join(scratch, 'ours');
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder, { recursive: true });
      const config = join(folder, 'bench.sft.json');
      await writeFile(config, JSON.stringify(runConfig(work, folder)));
      try {
        const told: Told = { plannedBytes: 0, takenBytes: 0, outside: 0, waiting: 0 };
        const result = await watchSteps({
          command: process.execPath,
          args: [join(root, 'dist', 'cli.js'), 'train', config, '--json'],
          cwd: folder,
          step: (line) => markOf(line, told),
        });
        return { ...result, own: told };
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  };
}

/** Keys that not every engine knows are left out where they say what is so anyway. */
function runConfig(work: Work, folder: string): RunConfigInput & Record<string, unknown> {
  return {
    model_name_or_path: work.model,
    train_dataset: work.data,
    instruction_response_separator: '',
    max_length: work.maxLength,
    shuffle: false,
    per_device_train_batch_size: work.batchSize,
    gradient_accumulation_steps: work.accumulation,
    max_steps: work.steps,
    num_train_epochs: 1000,
    learning_rate: work.learningRate,
    lr_scheduler_type: 'constant',
    weight_decay: 0,
    max_grad_norm: 1,
    use_peft: work.method === 'lora',
    lora_r: loraRank,
    lora_alpha: loraAlpha,
    lora_dropout: 0,
    prompt_loss_steps: 0,
    logging_steps: 1,
    eval_strategy: 'no',
    save_strategy: 'no',
    threads: work.threads,
    ...(work.precision === 'bf16' ? { bf16: true } : {}),
    ...(work.gradientCheckpointing ? { gradient_checkpointing: true } : {}),
    output_dir: folder,
    experiment: 'bench',
    run_name: 'run',
  };
}

type Told = { -readonly [Key in keyof OwnFigures]: OwnFigures[Key] };

/** A step that has ended; what other events tell is noted. */
function markOf(line: string, told: Told): StepMark | undefined {
  const event = parseEvent(line);
  if (event?.type === 'setup') told.plannedBytes = event.memory?.peak ?? 0;
  if (event?.type === 'status' && event.timing !== undefined && event.timing.total > 0) {
    const { engine, data, total } = event.timing;
    told.waiting = data / total;
    told.outside = 1 - (engine + data) / total;
  }
  if (event?.type !== 'train') return undefined;
  told.takenBytes = event.memory.peak;
  return { step: event.step, time: Date.parse(event.time) / 1000, loss: event.loss };
}

/**
 * Saves a run's checkpoints. A checkpoint is staged first: written whole, beside its place. It counts only once the next step
 * had a finite gradient, or the run ends in order, because broken weights need not show in the loss of the step that broke them.
 */

import { writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { BodyOf } from '../core/events.js';
import { portablePath } from '../core/paths.js';
import type { Model } from '../engine/types.js';
import {
  type Checkpoint,
  commitCheckpoint,
  dropStaged,
  pruneCheckpoints,
  type StagedCheckpoint,
  stageCheckpoint,
} from '../runs/checkpoints.js';
import type { Run } from '../runs/run-folder.js';
import { copyModelFiles } from './model-folder.js';
import { stateFile, type TrainerState } from './state.js';

export class CheckpointSaver {
  /** The newest checkpoint that counts. */
  newest: Checkpoint | undefined;
  private staged: { checkpoint: StagedCheckpoint; seconds: number; trainSeconds: number } | undefined;

  constructor(
    private readonly run: Run,
    private readonly emit: (event: BodyOf<'checkpoint'>) => void,
  ) {}

  /** Step of the last checkpoint written, whether it counts yet or not; 0: none. */
  get lastStep(): number {
    return this.staged?.checkpoint.step ?? this.newest?.step ?? 0;
  }

  /** @param template the chat template, where it is not the model's own */
  async stage(model: Model, state: TrainerState, template: string | undefined, trainSeconds: number): Promise<void> {
    const { checkpoints, config } = this.run;
    const began = performance.now();
    const checkpoint = await stageCheckpoint(checkpoints, state.step, async (directory) => {
      await model.save(directory);
      await model.saveState(directory);
      await copyModelFiles(config.model_name_or_path, directory, { adapter: config.use_peft, template });
      await writeFile(join(directory, stateFile), `${JSON.stringify(state, null, 2)}\n`);
    });
    this.staged = { checkpoint, seconds: (performance.now() - began) / 1000, trainSeconds };
  }

  /** Makes what is staged count, then deletes what is above the limit. */
  async commit(): Promise<void> {
    if (this.staged === undefined) return;
    const { checkpoints, config, directory: home } = this.run;
    const { checkpoint: staged, seconds, trainSeconds } = this.staged;
    this.newest = await commitCheckpoint(checkpoints, staged);
    this.staged = undefined;
    const limit = config.save_total_limit;
    const deleted = limit === undefined ? [] : await pruneCheckpoints(checkpoints, limit);
    this.emit({
      type: 'checkpoint',
      step: staged.step,
      path: portablePath(relative(home, this.newest.directory)),
      bytes: staged.bytes,
      verified: true,
      seconds,
      deleted: deleted.map(({ directory }) => portablePath(relative(home, directory))),
      trainSeconds,
    });
  }

  /** Drops what was staged and never counted. */
  async close(): Promise<void> {
    if (this.staged !== undefined) await dropStaged(this.staged.checkpoint);
    this.staged = undefined;
  }
}

/** `trainer_state.json` of a checkpoint: with weights and optimizer, all that an exact resume needs. */

import { join } from 'node:path';
import * as z from 'zod';
import { readJson } from '../runs/files.js';
import { emptyWindow, windowSchema } from './meter.js';

/**
 * Holds no clock times, so that equal runs write equal bytes. Losses of the open logging window may be infinite in no
 * checkpoint: such a run stops before it saves.
 */
export const trainerStateSchema = z.object({
  v: z.literal(1),
  /** Steps done. */
  step: z.number().int().min(0),
  totalSteps: z.number().int().min(0),
  position: z.object({ epoch: z.number().int().min(0), index: z.number().int().min(0) }),
  /** Tokens that went through the model. */
  tokens: z.number().int().min(0),
  window: windowSchema,
  /** Tokens up to which microbatches are joined, from the run's start to its end. */
  joined: z.number().int().min(0).default(0),
  /** An evaluation of this step was interrupted and is still to be done. */
  evaluationDue: z.boolean(),
});
export type TrainerState = z.infer<typeof trainerStateSchema>;

export const initialState: TrainerState = {
  v: 1,
  step: 0,
  totalSteps: 0,
  position: { epoch: 0, index: 0 },
  tokens: 0,
  window: emptyWindow(),
  joined: 0,
  evaluationDue: false,
};

export const stateFile = 'trainer_state.json';

export function readState(checkpointDirectory: string): Promise<TrainerState> {
  return readJson(join(checkpointDirectory, stateFile), trainerStateSchema);
}

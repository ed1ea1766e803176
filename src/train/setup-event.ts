/** What a run is before its first step: device, model, memory, plan and data, as the log keeps it. */

import type { BodyOf } from '../core/events.js';
import type { TrainingData } from '../data/types.js';
import type { Model } from '../engine/types.js';
import type { Run } from '../runs/run-folder.js';
import type { RunMemory } from './memory.js';
import { setSizes } from './open-data.js';
import type { Plan } from './schedule.js';

export function setupEvent(
  run: Run,
  device: string,
  model: Model,
  memory: RunMemory,
  data: TrainingData,
  plan: Plan,
): BodyOf<'setup'> {
  const baseline = run.info.kind === 'baseline';
  return {
    type: 'setup',
    device,
    threads: run.config.threads,
    architecture: model.info.architecture,
    parameters: model.info.parameters,
    trainableParameters: baseline ? 0 : model.info.trainableParameters,
    totalSteps: plan.totalSteps,
    stepsPerEpoch: plan.exact && data.report.train.exact ? plan.stepsPerEpoch : null,
    exact: plan.exact,
    maskSource: data.report.maskSource,
    memory: {
      weights: memory.plan.weights,
      training: memory.plan.training,
      working: memory.plan.working,
      peak: memory.plan.peak,
      available: memory.available,
      checkpointing: (memory.options.checkpointing ?? false) !== false,
      joined: memory.joined,
    },
    sets: setSizes(data.report),
  };
}

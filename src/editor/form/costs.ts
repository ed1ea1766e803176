/** What a run takes, as the form has it: measured when the values rest, kept by what it depends on, and never for values left behind. */

import type { RunConfigInput } from '../../core/config.js';
import { LabError } from '../../core/errors.js';
import { comparisonEpochs } from '../../core/form-config.js';
import type { Measurement } from '../../core/measurement.js';
import type { FormCost, FormPlan } from '../../core/view/form.js';

export interface CostTools {
  measure(config: RunConfigInput, signal: AbortSignal): Promise<Measurement>;
  /** Whether steps are measured unasked. */
  measuresAlone(): boolean;
  /** Whether something trains on this machine now. */
  busy(): boolean;
  changed(): void;
  note(error: unknown): void;
}

interface Measured {
  readonly figures: Measurement;
  readonly disturbed: boolean;
}

type Status = { readonly is: 'waiting' | 'idle' | 'measuring' } | { readonly is: 'failed'; readonly error: LabError };

export class Costs {
  private status: Status = { is: 'waiting' };
  private key = '';
  private measuring = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  private readonly known = new Map<string, Measured>();

  constructor(
    private readonly tools: CostTools,
    private readonly delay: number,
  ) {}

  /** Why these values would not train, where a measurement found out. */
  get error(): LabError | undefined {
    return this.status.is === 'failed' ? this.status.error : undefined;
  }

  /** Nothing is measured until what is wrong has been put right. */
  wait(): void {
    this.stop();
    this.status = { is: 'waiting' };
  }

  /** Leaves the machine to others. What was measured stays. */
  rest(): void {
    this.stop();
    if (this.status.is === 'measuring') this.status = { is: 'idle' };
  }

  forget(): void {
    this.known.clear();
    this.key = '';
  }

  /** Measures when no other values come for a moment. @param key equal for values that take the same */
  soon(key: string, config: RunConfigInput): void {
    if (key === this.key && (this.status.is === 'measuring' || this.status.is === 'failed')) return;
    this.stop();
    this.key = key;
    const wanted = !this.known.has(key) && this.tools.measuresAlone();
    this.status = { is: wanted ? 'measuring' : 'idle' };
    if (wanted) this.timer = setTimeout(() => void this.now(key, config), this.delay);
  }

  async now(key: string, config: RunConfigInput): Promise<void> {
    this.stop();
    const measuring = new AbortController();
    this.measuring = measuring;
    this.key = key;
    this.status = { is: 'measuring' };
    this.tools.changed();
    const busy = this.tools.busy();
    try {
      const figures = await this.tools.measure(config, measuring.signal);
      if (measuring.signal.aborted) return;
      this.known.set(key, { figures, disturbed: busy || this.tools.busy() });
      this.status = { is: 'idle' };
    } catch (error) {
      if (measuring.signal.aborted) return;
      if (!(error instanceof LabError)) this.tools.note(error);
      this.status = { is: 'failed', error: error instanceof LabError ? error : new LabError(String(error)) };
    }
    this.tools.changed();
  }

  /** From the measured rates to what so many steps take. */
  of(plan: FormPlan | null, epochs: number): FormCost {
    if (this.status.is === 'failed') {
      const { message, advice } = this.status.error;
      return { status: 'failed', message, ...(advice === undefined ? {} : { advice }) };
    }
    if (this.status.is !== 'idle') return { status: this.status.is };
    if (plan === null) return { status: 'waiting' };
    const measured = this.known.get(this.key);
    return measured === undefined ? { status: 'off' } : costOf(measured, plan, epochs);
  }

  private stop(): void {
    clearTimeout(this.timer);
    this.measuring.abort();
  }
}

function costOf({ figures, disturbed }: Measured, plan: FormPlan, epochs: number): FormCost {
  const train = plan.tokens / figures.tokensPerSecond + plan.steps * figures.secondsPerUpdate;
  // The form evaluates at the end of each epoch.
  const perEvaluation = figures.evaluations === 0 ? 0 : figures.evaluationSeconds / figures.evaluations;
  return {
    status: 'measured',
    device: figures.device,
    deviceMemory: figures.deviceMemory,
    memory: figures.device === 'cpu' ? figures.processMemory : figures.engineMemory,
    tokensPerSecond: figures.tokensPerSecond,
    parameters: figures.parameters,
    trainableParameters: figures.trainableParameters,
    trainSeconds: train,
    evaluationSeconds: Math.ceil(epochs) * perEvaluation,
    comparisonSeconds: comparisonEpochs * (train / epochs + perEvaluation),
    disturbed,
  };
}

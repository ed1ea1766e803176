/** One run as the list of runs knows it: what its files said when they were last looked at. */

import { join, sep } from 'node:path';
import * as z from 'zod';
import { runInfoSchema } from '../core/experiment.js';
import { runStateOf } from '../core/history.js';
import {
  type BestMetric,
  bestOf,
  bestSchema,
  digestHeadSchema,
  emptyDigest,
  evalsSchema,
  type RunDigest,
  readDigest,
} from './digest.js';
import { labelFile, readLabel } from './label.js';
import { type LockContent, lockHolder } from './lock.js';
import { markOf, parseAs, readAs } from './marks.js';
import type { RunRow } from './run-rows.js';

/** What a run has of the experiment that it is in. */
export interface ExperimentNames {
  readonly folder: string;
  readonly name: string;
  readonly label: string;
}

/** What rows show of `run.json`. Its config is most of it, and few ask for that. */
const infoSchema = runInfoSchema.pick({ v: true, kind: true, label: true, created: true, configFile: true });
const configSchema = runInfoSchema.pick({ config: true });

/** The first part of a cached text; behind a tab stand the evaluations, which are most of it. */
const cachedSchema = z.object({
  mark: z.string(),
  info: infoSchema,
  digest: digestHeadSchema,
  best: bestSchema.nullable(),
});

export class RunEntry {
  readonly folder: string;
  /** The process that trains it. */
  holder: LockContent | undefined;
  private info: z.infer<typeof infoSchema> | undefined;
  private digest: RunDigest = emptyDigest();
  /** The digest's evaluations as an earlier session left them: not needed before the log grows. */
  private unreadEvals: string | undefined;
  private best: BestMetric | undefined;
  /** Of the log when it was last read. */
  private mark = '';
  /** As a person renamed it. */
  private label: string | undefined;
  private labelMark = '';
  private config: RunRow['config'] | undefined;
  private row_: RunRow | undefined;

  /** @param cached what `cacheText` gave in an earlier session; read and checked at the first look */
  constructor(
    readonly experiment: ExperimentNames,
    readonly name: string,
    private cached: string | undefined,
  ) {
    this.folder = join(experiment.folder, name);
  }

  /** Whether its files have been looked at. */
  get known(): boolean {
    return this.info !== undefined;
  }

  /** Whether something of it has changed since its row was last asked for. */
  get changed(): boolean {
    return this.row_ === undefined;
  }

  get row(): RunRow {
    this.row_ ??= this.makeRow();
    return this.row_;
  }

  /** Something that its row shows and that is not its own has changed. */
  drawAgain(): void {
    this.row_ = undefined;
  }

  /** What a later session starts from; undefined: nothing is known yet. */
  get cacheText(): string | undefined {
    const { mark, info, unreadEvals } = this;
    if (info === undefined) return this.cached;
    const { evals, ...digest } = this.digest;
    return `${JSON.stringify({ mark, info, digest, best: this.best ?? null })}\t${unreadEvals ?? JSON.stringify(evals)}`;
  }

  /**
   * Reads what is new. Of thousands of runs nothing is: then this is three looks at files, whose paths are not worth `join`.
   *
   * @param scratch room for a part of the log
   * @returns whether it is a run at all, and whether there is more to read
   */
  look(scratch: Buffer): 'none' | 'more' | 'whole' {
    // The lock first: a process lets go of it after its last event, so that a run without one has no more to say.
    const holder = lockHolder(this.folder);
    const log = `${this.folder}${sep}events.jsonl`;
    const mark = markOf(log);
    this.recall();
    if (this.info === undefined) {
      this.info = readAs(join(this.folder, 'run.json'), infoSchema);
      if (this.info === undefined) return 'none';
      this.row_ = undefined;
    }
    const complete = mark === this.mark || this.readLog(log, mark, scratch);
    const labelMark = markOf(`${this.folder}${sep}${labelFile}`);
    if (labelMark !== this.labelMark) {
      this.labelMark = labelMark;
      this.label = labelMark === '' ? undefined : readLabel(this.folder);
      this.row_ = undefined;
    }
    // It has not ended for us before its end has been read: half of a log looks as if its process had been killed.
    if (holder?.token !== this.holder?.token && (holder !== undefined || complete)) {
      // Network file systems may show the end of the lock before the end of the log: look once more.
      if (holder === undefined) this.mark = '';
      this.holder = holder;
      this.row_ = undefined;
    }
    return complete ? 'whole' : 'more';
  }

  /** What an earlier session knew. */
  private recall(): void {
    if (this.cached === undefined) return;
    const [head = '', evals] = this.cached.split('\t', 2);
    this.cached = undefined;
    const known = parseAs(head, cachedSchema);
    if (known === undefined || evals === undefined) return;
    this.info = known.info;
    this.mark = known.mark;
    this.best = known.best ?? undefined;
    this.digest = { ...known.digest, evals: [] };
    this.unreadEvals = evals;
    this.row_ = undefined;
  }

  /** Reads what its log has more; false where that was not all. */
  private readLog(log: string, mark: string, scratch: Buffer): boolean {
    if (this.unreadEvals !== undefined) {
      const evals = parseAs(this.unreadEvals, evalsSchema);
      this.digest = evals === undefined ? emptyDigest() : { ...this.digest, evals };
      this.unreadEvals = undefined;
    }
    try {
      const { digest, complete } = readDigest(log, this.digest, scratch);
      this.digest = digest;
      this.best = bestOf(digest);
      this.row_ = undefined;
      if (complete) this.mark = mark;
      return complete;
    } catch {
      // Not readable now; the next look tries again.
      return true;
    }
  }

  private makeRow(): RunRow {
    const { folder, name, experiment, info, digest, holder } = this;
    const state = runStateOf(digest.status ?? undefined, holder !== undefined);
    const readConfig = (): RunRow['config'] => {
      this.config ??= readAs(join(folder, 'run.json'), configSchema)?.config ?? {};
      return this.config;
    };
    return {
      folder,
      name,
      label: this.label ?? info?.label ?? name,
      experiment: experiment.name,
      experimentFolder: experiment.folder,
      experimentLabel: experiment.label,
      kind: info?.kind ?? 'train',
      state:
        state === 'created' ? 'queued' : state === 'interrupted' && digest.status === 'interrupted' ? 'stopped' : state,
      reason: digest.reason ?? undefined,
      step: digest.step,
      totalSteps: digest.totalSteps,
      epoch: digest.epoch,
      loss: digest.loss ?? undefined,
      best: this.best,
      secondsPerStep: digest.secondsPerStep ?? undefined,
      tokensPerSecond: digest.tokensPerSecond ?? undefined,
      trainSeconds: digest.trainSeconds,
      created: info?.created,
      startedAt: digest.startedAt ?? undefined,
      updatedAt: digest.updatedAt ?? undefined,
      configFile: info?.configFile ?? undefined,
      get config() {
        return readConfig();
      },
      holder,
    };
  }
}

/**
 * One open form: its values, what they mean, and what is found out about them. Every change is shown at once; reading the data
 * and measuring a step follow when the typing pauses, and are given up when the next change comes. No `vscode` here.
 */

import { createHash } from 'node:crypto';
import { basename, dirname } from 'node:path';
import type { ResolvedConfig, RunConfigInput } from '../../core/config.js';
import { checkConfig, resolveConfig } from '../../core/config-parse.js';
import { LabError } from '../../core/errors.js';
import { configOf, defaultValues, fieldOf, hasPreset, withPreset } from '../../core/form-config.js';
import type { Measurement } from '../../core/measurement.js';
import { planSteps } from '../../core/plan.js';
import { type PresetId, presetOf, presets, recommendedPreset } from '../../core/presets.js';
import type {
  Choice,
  FormActivity,
  FormData,
  FormKey,
  FormPlan,
  FormProblem,
  FormState,
  FormValues,
} from '../../core/view/form.js';
import { findModel } from '../../data/models.js';
import type { TrainingDataOptions } from '../../data/types.js';
import { Costs } from './costs.js';
import { failureOf, previewOptions, type ReadData, readPreview } from './preview.js';

export interface FormSetting {
  /** The data set file. */
  readonly file: string;
  readonly uri: string;
  readonly bytes: number;
  /** Shown folder of the data set. */
  readonly folder: string;
  readonly outputDir: string | undefined;
  readonly values: FormValues;
  /** Whether the values are to be those that the model wants; false for a form that is restored. */
  readonly fresh: boolean;
  readonly models: readonly Choice[];
  readonly evaluations: readonly Choice[];
  readonly devices: readonly Choice[];
  /** Bytes of the device that trains unless another is chosen. */
  readonly memory: number;
  /** Whether that device computes in bfloat16. */
  readonly bf16: boolean;
  parametersOf(model: string): number | undefined;
}

export interface FormTools {
  measure(config: RunConfigInput, folder: string, signal: AbortSignal): Promise<Measurement>;
  /** Whether steps are measured unasked. */
  measuresAlone(): boolean;
  /** Whether something trains on this machine now. */
  busy(): boolean;
  show(state: FormState): void;
  note(error: unknown): void;
}

export interface FormDelays {
  readonly read: number;
  readonly measure: number;
}

/** Keys that a measurement does not depend on: what they change is computed from its figures. */
const unmeasured: readonly string[] = [
  'num_train_epochs',
  'learning_rate',
  'lr_scheduler_type',
  'warmup_ratio',
  'experiment',
  'run_name',
  'output_dir',
  'seed',
  'weight_decay',
  'max_grad_norm',
];
const keptReadings = 8;

export class FormSession {
  private values: FormValues;
  private models: readonly Choice[];
  private evaluations: readonly Choice[];
  private data: FormData = { status: 'reading' };
  private activity: FormActivity = { kind: 'idle' };
  /** What the model, the data and the measurement say of fields. */
  private modelProblem: FormProblem | undefined;
  private dataProblem: FormProblem | undefined;
  private resolved: ResolvedConfig | undefined;
  private dataKey = '';
  private looks = 0;
  private reading = new AbortController();
  private readonly picked = new Map<string, number | undefined>();
  private readTimer: NodeJS.Timeout | undefined;
  private readonly readings = new Map<string, ReadData>();
  private readonly costs: Costs;
  private closed = false;

  constructor(
    private readonly setting: FormSetting,
    private readonly tools: FormTools,
    private readonly delays: FormDelays = { read: 200, measure: 600 },
  ) {
    this.values = setting.fresh
      ? withPreset(setting.values, presetOf(this.recommendedFor(setting.values)), setting.bf16)
      : setting.values;
    this.models = setting.models;
    this.evaluations = setting.evaluations;
    const folder = dirname(setting.file);
    this.costs = new Costs(
      {
        ...tools,
        measure: (config, signal) => tools.measure(config, folder, signal),
        changed: () => this.push(),
      },
      delays.measure,
    );
  }

  begin(): void {
    this.change({});
  }

  set(key: FormKey, value: string): void {
    if (this.values[key] === value) return;
    const before = this.values;
    const values = { ...before, [key]: value };
    // Another model wants other values, unless a person has changed them.
    const follows =
      key === 'model_name_or_path' && hasPreset(before, presetOf(this.recommendedFor(before)), this.setting.bf16);
    this.change(follows ? withPreset(values, presetOf(this.recommendedFor(values)), this.setting.bf16) : values);
  }

  applyPreset(id: string): void {
    const preset = presets.find((one) => one.id === id);
    if (preset !== undefined) this.change(withPreset(this.values, preset, this.setting.bf16));
  }

  /** A model or an evaluation set that was picked from outside the list. */
  offer(key: 'model_name_or_path' | 'evaluation', choice: Choice, parameters?: number): void {
    if (key === 'evaluation') this.evaluations = withChoice(this.evaluations, choice);
    else {
      this.models = withChoice(this.models, choice);
      this.picked.set(choice.value, parameters);
    }
    this.set(key, choice.value);
    this.push();
  }

  private recommendedFor({ model_name_or_path: model }: FormValues): PresetId {
    const parameters = this.picked.get(model) ?? this.setting.parametersOf(model);
    return recommendedPreset(parameters, this.setting.memory);
  }

  showActivity(activity: FormActivity): void {
    this.activity = activity;
    this.push();
  }

  get current(): FormValues {
    return this.values;
  }

  /** The config as it stands; undefined while something is wrong with it. */
  config(): RunConfigInput | undefined {
    return this.problems().some(({ severity }) => severity === 'error') ? undefined : this.parse().config;
  }

  /** A file of the data changed. */
  readAgain(): void {
    this.dataKey = '';
    this.readings.clear();
    this.costs.forget();
    this.change({});
  }

  measureNow(): void {
    const { config, problems } = this.parse();
    if (problems.length === 0) void this.costs.now(this.keyOfMeasurement(), config);
  }

  /** Ends what goes on in the background; a run that starts wants the machine to itself. */
  rest(): void {
    clearTimeout(this.readTimer);
    this.costs.rest();
  }

  close(): void {
    this.closed = true;
    this.rest();
    this.reading.abort();
  }

  push(): void {
    if (this.closed) return;
    const { setting } = this;
    const plan = this.plan();
    this.tools.show({
      type: 'state',
      dataSet: { uri: setting.uri, name: basename(setting.file), folder: setting.folder, bytes: setting.bytes },
      values: this.values,
      models: [...this.models],
      evaluations: [...this.evaluations],
      devices: [...setting.devices],
      presets: presets.map(({ id, label, detail }) => ({
        id,
        label,
        detail,
        recommended: id === this.recommendedFor(this.values),
      })),
      preset: presets.find((preset) => hasPreset(this.values, preset, setting.bf16))?.id ?? null,
      problems: this.problems(),
      data: this.data,
      plan,
      cost: this.costs.of(plan, plan?.epochs ?? 1),
      activity: this.activity,
    });
  }

  private change(values: Partial<FormValues>): void {
    this.values = { ...this.values, ...values };
    if (this.activity.kind !== 'starting') this.activity = { kind: 'idle' };
    this.push();
    clearTimeout(this.readTimer);
    this.readTimer = setTimeout(() => void this.look(), this.delays.read);
  }

  private parse(values: FormValues = this.values): ReturnType<typeof configOf> {
    const { file, outputDir } = this.setting;
    return configOf(values, { trainDataset: basename(file), outputDir });
  }

  /** Of the values, of the model, and what the measurement said of a field. */
  private problems(): FormProblem[] {
    const { problems } = this.parse();
    const found = [this.modelProblem, this.dataProblem, problemOf(this.costs.error)];
    for (const one of found) {
      if (one !== undefined && !problems.some(({ field }) => field === one.field)) problems.push(one);
    }
    return problems;
  }

  /** After a change: reads the data anew where it matters, and measures where that matters. */
  private async look(): Promise<void> {
    const { config, right } = this.readable();
    if (config === undefined) return this.wait();
    const folder = dirname(this.setting.file);
    const look = ++this.looks;
    try {
      const checked = checkConfig(config);
      const model = await findModel(config.model_name_or_path, folder);
      const resolved = { ...resolveConfig(checked, folder, 'experiment'), model_name_or_path: model };
      const options = await previewOptions(resolved);
      // Values have changed again in the meantime: that look has its turn.
      if (look !== this.looks || this.closed) return;
      this.modelProblem = undefined;
      this.resolved = resolved;
      this.read(options, right);
    } catch (error) {
      if (look !== this.looks || this.closed) return;
      this.reading.abort();
      const known = error instanceof LabError ? error : new LabError(String(error));
      this.modelProblem = {
        severity: 'error',
        ...problemOf(known),
        message: known.message,
        field: 'model_name_or_path',
      };
      this.dataKey = '';
      this.wait();
    }
  }

  /** Nothing is measured until what is wrong has been put right. */
  private wait(): void {
    this.costs.wait();
    this.push();
  }

  /** The config with defaults where something is wrong, so that a slip in one field does not hide the data. */
  private readable(): { config: RunConfigInput | undefined; right: boolean } {
    const { config, problems } = this.parse();
    if (problems.length === 0) return { config, right: true };
    const standard = defaultValues();
    const values = { ...this.values };
    for (const { field } of problems) if (field !== undefined) values[field] = standard[field];
    const mended = this.parse(values);
    return { config: mended.problems.length === 0 ? mended.config : undefined, right: false };
  }

  /** @param right whether the values are those of a run; what is wrong with them is never measured */
  private read(options: TrainingDataOptions, right: boolean): void {
    const key = digest(options);
    if (key !== this.dataKey) {
      this.dataKey = key;
      this.reading.abort();
      const known = this.readings.get(key);
      if (known !== undefined) {
        this.data = known;
        this.dataProblem = undefined;
      } else void this.readAnew(key, options);
    }
    if (!right) this.wait();
    else if (this.data.status === 'read' && this.data.whole) this.measureSoon();
    this.push();
  }

  private async readAnew(key: string, options: TrainingDataOptions): Promise<void> {
    const reading = new AbortController();
    this.reading = reading;
    this.dataProblem = undefined;
    const before = this.data.status === 'reading' ? [] : this.data.examples;
    // What was read before stays to be seen until the new reading has something to show.
    if (this.data.status === 'read') this.data = { ...this.data, whole: false };
    else this.data = { status: 'reading' };
    this.wait();
    try {
      await readPreview(
        options,
        (data) => {
          if (reading.signal.aborted) return;
          this.data = data;
          if (data.whole) this.keep(key, data);
          this.push();
        },
        reading.signal,
      );
      if (reading.signal.aborted) return;
      this.measureSoon();
      this.push();
    } catch (error) {
      if (reading.signal.aborted || this.closed) return;
      if (!(error instanceof LabError)) this.tools.note(error);
      // Bad records that were seen at the first reading are listed better than an error could.
      const { data } = this;
      const listed = data.status === 'read' && isListed(data, error);
      if (!listed) this.data = failureOf(error, data.status === 'read' ? data.examples : before);
      this.dataProblem = problemOf(error);
      this.push();
    }
  }

  private keep(key: string, data: ReadData): void {
    this.readings.set(key, data);
    for (const oldest of this.readings.keys()) {
      if (this.readings.size <= keptReadings) break;
      this.readings.delete(oldest);
    }
  }

  private measureSoon(): void {
    const { config, problems } = this.parse();
    if (problems.length === 0) this.costs.soon(this.keyOfMeasurement(), config);
  }

  private keyOfMeasurement(): string {
    const kept = Object.entries(this.resolved ?? {}).filter(([key]) => !unmeasured.includes(key));
    return digest(Object.fromEntries(kept));
  }

  private plan(): FormPlan | null {
    const { data } = this;
    const { config, problems } = this.parse();
    if (data.status !== 'read' || problems.length > 0) return null;
    const checked = checkConfig(config);
    const { totalSteps, stepsPerEpoch } = planSteps(checked, data.records, data.exact);
    return {
      steps: totalSteps,
      stepsPerEpoch,
      tokens: Math.round(data.tokens * checked.num_train_epochs),
      lossTokens: Math.round(data.lossTokens * checked.num_train_epochs),
      epochs: checked.num_train_epochs,
      exact: data.exact && data.whole,
    };
  }
}

/** Whether the error is about a record that stands among the problems. */
function isListed({ problems }: ReadData, error: unknown): boolean {
  if (!(error instanceof LabError)) return false;
  const { file, line } = error.place;
  const errors = problems.filter(({ severity }) => severity === 'error');
  return errors.some(({ places }) => places.some((place) => place.file === file && place.line === line));
}

/** An error that a field is to blame for. */
function problemOf(error: unknown): FormProblem | undefined {
  if (!(error instanceof LabError)) return undefined;
  const field = fieldOf(error.place.field?.split('.')[0]);
  if (field === undefined || error.place.line !== undefined) return undefined;
  const { message, advice } = error;
  return { field, severity: 'error', message, ...(advice === undefined ? {} : { advice }) };
}

function withChoice(choices: readonly Choice[], choice: Choice): Choice[] {
  return [...choices.filter(({ value }) => value !== choice.value), choice];
}

function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('base64');
}

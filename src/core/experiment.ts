/** `run.json` and `experiment.json`: what a run is, and which runs are compared. Wire formats, written once. */

import * as z from 'zod';
import { LabError } from './errors.js';

export const runInfoSchema = z.object({
  v: z.literal(1),
  /** `baseline`: the untuned model, evaluated only. */
  kind: z.enum(['train', 'baseline']),
  name: z.string(),
  /** What a person calls the run, for instance `Completion-only, 2 epochs`. */
  label: z.string(),
  experiment: z.string(),
  created: z.iso.datetime(),
  version: z.string(),
  configFile: z.string().nullable(),
  /** The resolved config; checked again when the run is opened. */
  config: z.record(z.string(), z.unknown()),
  /** Size and digest (of the first and last MiB) of each input file: a resumed run must find what it began with. */
  inputs: z.array(z.object({ path: z.string(), bytes: z.number(), digest: z.string() })),
});
export type RunInfo = z.infer<typeof runInfoSchema>;
export type InputFile = RunInfo['inputs'][number];

export const experimentSchema = z.object({
  v: z.literal(1),
  name: z.string(),
  created: z.iso.datetime(),
  configFile: z.string().nullable(),
  /** Digest of config and inputs: a comparison started again with the same continues this experiment. */
  digest: z.string(),
  axes: z.record(z.string(), z.array(z.unknown())),
  runs: z.array(z.object({ name: z.string(), label: z.string(), values: z.record(z.string(), z.unknown()) })),
  /** Name of the run that evaluates the untuned model. */
  baseline: z.string().nullable(),
});
export type Experiment = z.infer<typeof experimentSchema>;

/** What an experiment is called after a file: the stem of its name, as far as it is one for an experiment. */
export function experimentNameOf(stem: string): string {
  const name = stem.replace(/[^\w .-]+/g, '-').replace(/^[^\w]+/, '');
  return name === '' ? 'experiment' : name;
}

/** One run of a comparison: the values it takes on the axes. */
export interface Variant {
  readonly name: string;
  readonly label: string;
  readonly values: Readonly<Record<string, unknown>>;
}

/** Most runs that one comparison may have: a typing mistake should not fill the disk. */
const maxVariants = 1000;

/** Every combination of the axes, the last axis changing fastest. */
export function variantsOf(axes: Readonly<Record<string, readonly unknown[]>>): Variant[] {
  let combinations: Record<string, unknown>[] = [{}];
  for (const [key, values] of Object.entries(axes)) {
    combinations = combinations.flatMap((values_) => values.map((value) => ({ ...values_, [key]: value })));
    if (combinations.length > maxVariants) {
      throw new LabError(`a comparison of more than ${maxVariants} runs`, {
        place: { field: 'compare' },
        advice: 'Compare fewer values at a time.',
      });
    }
  }
  const taken = new Set<string>();
  return combinations.map((values) => {
    const label = labelOf(values);
    const stem = slugOf(label);
    let name = stem;
    for (let n = 2; taken.has(name); n++) name = `${stem}-${n}`;
    taken.add(name);
    return { name, label, values };
  });
}

/** A run's name for people, from the values that set it apart. */
export function labelOf(values: Readonly<Record<string, unknown>>): string {
  const parts = Object.entries(values).map(([key, value]) => {
    if (key === 'loss_on') return value === 'completion' ? 'Completion-only' : 'Full sequence';
    if (key === 'num_train_epochs') return value === 1 ? '1 epoch' : `${String(value)} epochs`;
    if (key === 'use_peft') return value === true ? 'LoRA' : 'Full fine-tuning';
    return `${key}=${typeof value === 'string' ? lastPart(value) : JSON.stringify(value)}`;
  });
  return parts.join(', ') || 'run';
}

/** Paths make poor labels; their last part is what differs. */
function lastPart(text: string): string {
  return (
    text
      .split(/^[a-z]:[\\/]/i.test(text) ? /[\\/]/ : '/')
      .filter(Boolean)
      .at(-1) ?? text
  );
}

/** A folder name from any text: letters, digits, dots, dashes; never hidden, never empty, at most 80 characters. */
export function slugOf(text: string): string {
  const slug = text
    .normalize('NFKD')
    .replace(/[^\w.=+-]+/g, '-')
    .replace(/=/g, '-')
    .replace(/-{2,}/g, '-')
    .replace(/^[-.]+|[-.]+$/g, '')
    .toLowerCase()
    .slice(0, 80);
  return slug === '' ? 'run' : slug;
}

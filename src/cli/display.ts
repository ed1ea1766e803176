/** A run as a person sees it in the terminal: what it is, a table that grows, evaluations, samples, and a bar with the time left. */

import type { BodyOf, EventOf, RunEvent } from '../core/events.js';
import { formatBytes, formatCount, formatDuration } from '../core/units.js';
import { describePlan } from '../train/memory.js';
import type { Phase } from '../train/trainer.js';
import { lineEnd, oneLine, type Piece, printable, type Terminal } from './terminal.js';

const redrawMs = 100;
/** Rows of the table that stay, over the whole run. */
const rowsOfRun = 20;
/** Places of a warning; the event log has ten. */
const shownPlaces = 3;

interface Column {
  readonly title: string;
  readonly width: number;
  readonly value: (event: EventOf<'train'>) => string;
}

const fixed = (value: number | null, digits: number): string => (value === null ? '–' : value.toFixed(digits));

const columns: readonly Column[] = [
  { title: 'step', width: 6, value: ({ step }) => String(step) },
  { title: 'epoch', width: 6, value: ({ epoch }) => epoch.toFixed(2) },
  { title: 'loss', width: 8, value: ({ loss }) => fixed(loss, 4) },
  { title: 'compl.', width: 8, value: ({ completionLoss }) => fixed(completionLoss, 4) },
  { title: 'prompt', width: 8, value: ({ promptLoss }) => fixed(promptLoss, 4) },
  { title: 'acc', width: 6, value: ({ tokenAccuracy }) => fixed(tokenAccuracy, 3) },
  { title: 'entropy', width: 8, value: ({ entropy }) => fixed(entropy, 3) },
  { title: 'lr', width: 9, value: ({ learningRate }) => learningRate.toExponential(2) },
  { title: 'grad', width: 8, value: ({ gradNorm }) => gradNorm.toPrecision(3) },
  { title: 'tok/s', width: 8, value: ({ tokensPerSecond }) => String(Math.round(tokensPerSecond)) },
  { title: 'memory', width: 9, value: ({ memory }) => formatBytes(memory.peak) },
];

export class RunDisplay {
  private totalSteps = 0;
  private nextRow = 0;
  /** Of the last row that stays. */
  private rowStep = -1;
  private headed = false;
  private latest: EventOf<'train'> | undefined;
  private phase: { name: Phase; done: number; total: number } = { name: 'loading', done: 0, total: 0 };
  /** Where this attempt's clock started, for the time left. */
  private origin: { step: number; at: number } | undefined;
  private step = 0;
  private drawnAt = 0;

  constructor(private readonly terminal: Terminal) {}

  event(event: RunEvent): void {
    switch (event.type) {
      case 'status':
        this.step = event.step;
        if (event.status === 'resumed') this.terminal.line(['cyan', `Resuming after step ${event.step}`]);
        break;
      case 'setup':
        this.setup(event);
        break;
      case 'train':
        this.train(event);
        break;
      case 'eval':
        this.evaluation(event);
        break;
      case 'sample':
        this.sample(event);
        break;
      case 'checkpoint':
        this.terminal.line([
          'dim',
          `  saved ${event.path} (${formatBytes(event.bytes)}, ${event.seconds.toFixed(1)} s)`,
        ]);
        break;
      case 'warning':
        this.warning(event);
        break;
      case 'examples':
        break;
    }
  }

  progress(name: Phase, done: number, total: number): void {
    this.phase = { name, done, total };
    if (name === 'training') this.step = done;
    const now = performance.now();
    if (name === 'training' && done < total && now - this.drawnAt < redrawMs) return;
    this.drawnAt = now;
    this.draw();
  }

  /** Takes the live lines away; what was said stays. */
  close(): void {
    this.terminal.live([]);
  }

  private setup(event: BodyOf<'setup'>): void {
    this.totalSteps = event.totalSteps;
    this.origin = { step: this.step, at: performance.now() };
    this.nextRow = this.step;
    const share =
      event.trainableParameters === event.parameters
        ? 'all trained'
        : `${formatCount(event.trainableParameters)} trained`;
    this.terminal.line(
      `Model  ${event.architecture}, ${formatCount(event.parameters)} parameters (${share}) on ${event.device}`,
    );
    if (event.memory !== undefined) {
      const { peak, available, checkpointing, joined = 0 } = event.memory;
      const again = checkpointing ? '; activations are computed again in the backward pass, so that it fits' : '';
      const together = joined > 0 ? `; microbatches are computed together up to ${grouped(joined)} tokens` : '';
      this.terminal.line(
        `Memory ${formatBytes(peak)} of ${formatBytes(available)} free (${describePlan(event.memory)})${again}${together}`,
      );
    }
    for (const [name, set] of Object.entries(event.sets)) {
      const cut = set.truncatedRecords > 0 ? `, ${grouped(set.truncatedRecords)} cut to max_length` : '';
      const skipped = set.skippedRecords > 0 ? `, ${grouped(set.skippedRecords)} skipped` : '';
      this.terminal.line(
        `Data   ${name}: ${grouped(set.records)} examples, ${grouped(set.tokens)} tokens, ${grouped(set.lossTokens)} with a loss${cut}${skipped}`,
      );
    }
  }

  private train(event: EventOf<'train'>): void {
    this.latest = event;
    this.step = event.step;
    const last = event.step >= this.totalSteps;
    if (event.step >= this.nextRow || last) {
      if (!this.headed) {
        this.terminal.line(['bold', columns.map(({ title, width }) => title.padStart(width)).join('')]);
        this.headed = true;
      }
      this.terminal.line(row(event));
      this.rowStep = event.step;
      this.nextRow = event.step + Math.max(1, Math.floor(this.totalSteps / rowsOfRun));
    }
  }

  private evaluation(event: EventOf<'eval'>): void {
    const { answers } = event;
    const parts = [
      `loss ${fixed(event.loss, 4)}`,
      `completion ${fixed(event.completionLoss, 4)}`,
      `prompt ${fixed(event.promptLoss, 4)}`,
    ];
    if (answers !== null) {
      parts.push(`accuracy ${fixed(answers.accuracy, 4)}`);
      if (answers.kappa !== null) parts.push(`kappa ${fixed(answers.kappa, 4)}`);
      parts.push(`score ${fixed(answers.meanScore, 2)}`, `${answers.msPerSample.toFixed(1)} ms/sample`);
      if (answers.unparsable > 0) parts.push(`${answers.unparsable} of ${answers.count} unparsable`);
    }
    this.terminal.line(['green', `  ${event.set} at step ${event.step}: `], parts.join('  '));
  }

  private sample(event: EventOf<'sample'>): void {
    const mark: Piece = event.right === null ? ' ' : event.right ? ['green', '+'] : ['red', '-'];
    const mean = event.entropies.reduce((sum, value) => sum + value, 0) / Math.max(1, event.entropies.length);
    // The end of a prompt tells prompts apart: many begin with the same instruction.
    const head = ` ${lineEnd(event.prompt, 48)} -> ${oneLine(event.answer, 40) || '(nothing)'}`;
    const wanted = event.right === true ? '' : `  [${oneLine(event.reference, 24)}]`;
    this.terminal.line('  ', mark, ['dim', `${head}${wanted}  entropy ${mean.toFixed(2)}`]);
  }

  private warning(event: BodyOf<'warning'>): void {
    const places = event.places ?? [];
    const count =
      event.count === undefined ? '' : ` (${grouped(event.count)} ${event.count === 1 ? 'record' : 'records'})`;
    this.terminal.alert(['yellow', `Warning: ${printable(event.message)}${count}`]);
    for (const { place, message } of places.slice(0, shownPlaces)) {
      this.terminal.alert(['dim', `  ${place.file}:${place.line}: ${printable(message)}`]);
    }
    const more = Math.max(places.length, event.count ?? 0) - shownPlaces;
    if (places.length > 0 && more > 0) this.terminal.alert(['dim', `  and ${grouped(more)} more`]);
  }

  private draw(): void {
    if (!this.terminal.interactive) return;
    const { name, done, total } = this.phase;
    if (this.totalSteps === 0) {
      this.terminal.live([[`  ${name}${total > 0 ? ` ${done}/${total}` : ''}`]]);
      return;
    }
    const share = this.step / this.totalSteps;
    const left = this.secondsLeft();
    const doing = name === 'training' ? '' : `  ${name}${name === 'evaluating' ? ` ${done}/${total}` : ''}`;
    const bar = `  ${this.terminal.bar(share, 30)} ${this.step}/${this.totalSteps}  ${Math.floor(share * 100)} %${
      left === undefined ? '' : `  ${formatDuration(left)} left`
    }${doing}`;
    // The latest figures, unless they stand just above.
    const latest = this.latest === undefined || this.latest.step === this.rowStep ? [] : [[row(this.latest)]];
    this.terminal.live([...latest, [['cyan', bar]]]);
  }

  private secondsLeft(): number | undefined {
    if (this.origin === undefined || this.step <= this.origin.step) return undefined;
    const perStep = (performance.now() - this.origin.at) / 1000 / (this.step - this.origin.step);
    return perStep * Math.max(0, this.totalSteps - this.step);
  }
}

function row(event: EventOf<'train'>): string {
  return columns.map(({ value, width }) => value(event).padStart(width)).join('');
}

/** Not by `toLocaleString`: the first number would take ten milliseconds. */
function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',');
}

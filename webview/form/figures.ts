/** Steps, tokens, memory and time: the last two from steps that were really trained. */

import { formatBytes, formatCount, formatEstimate } from '../../src/core/units.js';
import type { FormState } from '../../src/core/view/form.js';
import { visibleText } from '../../src/core/view/visible.js';
import { element, fill } from '../shared/dom.js';
import { grouped } from './data.js';

export class Figures {
  readonly element = element('section', { class: 'figures', 'aria-label': 'What the run takes' });
  private readonly steps = new Tile('Steps');
  private readonly tokens = new Tile('Tokens');
  private readonly memory = new Tile('Memory');
  private readonly time = new Tile('Time');
  private readonly note = element('p', { class: 'muted note' });

  constructor(private readonly measure: () => void) {
    const tiles = [this.steps, this.tokens, this.memory, this.time].map((tile) => tile.element);
    this.element.append(element('div', { class: 'tiles' }, ...tiles), this.note);
  }

  show({ plan, cost }: FormState): void {
    if (plan === null) {
      this.steps.show('–', '');
      this.tokens.show('–', '');
    } else {
      const about = plan.exact ? '' : 'about ';
      this.steps.show(grouped(plan.steps), `${about}${grouped(plan.stepsPerEpoch)} an epoch`);
      const share = plan.tokens === 0 ? 0 : (plan.lossTokens / plan.tokens) * 100;
      this.tokens.show(formatCount(plan.tokens), `${share.toFixed(0)} % trained on`);
    }
    fill(this.note);
    switch (cost.status) {
      case 'measured': {
        const share = cost.deviceMemory === 0 ? 0 : cost.memory / cost.deviceMemory;
        this.memory.show(formatBytes(cost.memory), `of ${formatBytes(cost.deviceMemory)}, ${cost.device}`, share);
        const speed = formatCount(Math.round(cost.tokensPerSecond));
        this.time.show(formatEstimate(cost.trainSeconds + cost.evaluationSeconds), `${speed} tokens/s, measured`);
        const notes = [
          `${formatCount(cost.parameters)} parameters, ${formatCount(cost.trainableParameters)} of them trained.`,
          cost.evaluationSeconds >= 1 ? `${formatEstimate(cost.evaluationSeconds)} of the time for evaluation.` : '',
          cost.disturbed ? 'Measured while another run was training: alone it is faster.' : '',
        ];
        fill(this.note, notes.filter((text) => text !== '').join(' '));
        return;
      }
      case 'measuring':
        this.memory.wait('measuring…');
        this.time.wait('measuring…');
        return;
      case 'failed':
        this.memory.show('–', '');
        this.time.show('–', '');
        fill(
          this.note,
          element('span', { class: 'error' }, `Not measured: ${visibleText(cost.message)}`),
          cost.advice === undefined ? null : ` ${visibleText(cost.advice)} `,
          ' ',
          this.button('Measure again'),
        );
        return;
      case 'off':
        this.memory.show('–', '');
        this.time.show('–', '');
        fill(this.note, this.button('Measure memory and time'));
        return;
      case 'waiting':
        this.memory.show('–', '');
        this.time.show('–', '');
    }
  }

  summary({ cost, plan }: FormState): string {
    if (cost.status !== 'measured' || plan === null) return '';
    const time = formatEstimate(cost.trainSeconds + cost.evaluationSeconds);
    return `${grouped(plan.steps)} steps, about ${time}, ${formatBytes(cost.memory)} of memory`;
  }

  private button(text: string): Node {
    return element('button', { class: 'link', type: 'button', onclick: () => this.measure() }, text);
  }
}

class Tile {
  readonly element = element('div', { class: 'tile' });
  private readonly value = element('div', { class: 'value' });
  private readonly detail = element('div', { class: 'muted detail' });
  private readonly meter = element('div', { class: 'meter', 'aria-hidden': 'true' }, element('div', { class: 'bar' }));

  constructor(label: string) {
    this.element.append(element('div', { class: 'muted label' }, label), this.value, this.detail);
  }

  show(value: string, detail: string, share?: number): void {
    fill(this.value, value);
    fill(this.detail, detail);
    this.meter.remove();
    if (share === undefined) return;
    const bar = this.meter.firstElementChild;
    if (bar instanceof HTMLElement) {
      bar.style.width = `${Math.min(100, Math.max(1, share * 100))}%`;
      bar.classList.toggle('full', share > 0.9);
    }
    this.element.append(this.meter);
  }

  wait(text: string): void {
    this.meter.remove();
    fill(this.value, element('vscode-progress-ring', { 'aria-label': text }));
    fill(this.detail, text);
  }
}

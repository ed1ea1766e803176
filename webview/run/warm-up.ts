/**
 * Code runs slowly until it is compiled, and it is compiled while it runs; fonts are fetched when a text first needs them. So
 * while logs are still being read, the panel is made of runs of noise, outside the window and part by part, each taken away before
 * anything is painted: with a million points the first chart comes a fifth sooner.
 */

import { type ChartId, charts } from '../../src/core/view/charts.js';
import { columnNames } from '../../src/core/view/columns.js';
import { firstPanelState, type PanelRun, type ToPanel, toPanel } from '../../src/core/view/run-panel.js';
import { element } from '../shared/dom.js';
import type { Theme } from '../shared/theme.js';
import { ChartCard } from './card.js';
import { Looks } from './curves.js';
import { Frames } from './frames.js';
import { Header } from './header.js';
import { Legend } from './legend.js';
import { RunModel } from './model.js';
import { RunTable } from './run-table.js';
import type { View } from './view.js';

/** As many as there are colours of curves. */
const runs = 20;
const points = 10_000;
/** After which most of it is compiled. */
const drawings = 3;
const sets = ['first', 'second'];

const nothing = (): void => undefined;

/** Each step is one moment of leisure long. Ended early, it leaves nothing behind. */
export function* warmUp(theme: Theme, root: HTMLElement): Generator<void, void, void> {
  const [chart] = charts;
  if (chart === undefined) return;
  const infos = Array.from({ length: runs }, (_, i) => infoOf(String(i)));
  const message: ToPanel = { type: 'runs', runs: infos, missing: [] };
  toPanel.parse(message);
  yield;
  const models = infos.map((info) => new RunModel(info));
  const span = { from: 0, to: points };
  const view: View = {
    ...{ state: firstPanelState, theme, runs: models, shown: models, looks: new Looks(models, theme), missing: [] },
    ...{ whole: span, span, cursor: null, emphasis: undefined, change: nothing, move: nothing, setCursor: nothing },
    ...{ setEmphasis: nothing, send: nothing, announce: nothing },
  };
  const parts = [new Header(view), new Legend(view), new RunTable(view)];
  const card = new ChartCard(chart, view, new Frames(nothing), nothing);
  try {
    for (const part of parts) part.render();
    onStage(root, [...parts.map((part) => part.root), card.root], () => card.urgency());
    const packed = noise(chart.id);
    for (let i = 0; i < drawings; i++) {
      yield;
      for (const model of models) model.put(0, packed);
      onStage(root, [card.root], () => {
        card.urgency();
        card.draw();
      });
    }
  } finally {
    card.dispose();
  }
}

/** Does something with parts of the panel while they have a place on the page. */
function onStage(root: HTMLElement, parts: readonly HTMLElement[], work: () => void): void {
  const stage = element('div', { class: 'panel warm-up' }, ...parts);
  root.append(stage);
  work();
  stage.remove();
}

function noise(id: ChartId): ArrayBuffer {
  const packed = new Float32Array(columnNames.length * points);
  const values = columnNames.indexOf(id) * points;
  for (let i = 0; i < points; i++) {
    packed[i] = i;
    packed[values + i] = Math.random();
  }
  return packed.buffer;
}

function infoOf(key: string): PanelRun {
  return {
    ...{ key, name: key, label: key, experiment: '', kind: 'train', state: 'finished', reason: null, created: null },
    ...{ step: points, totalSteps: points, stepsPerEpoch: points / 4, trainSeconds: 1, remainingSeconds: null },
    ...{ device: null, trainableParameters: null, config: { seed: key }, checkpoints: [points / 2], warnings: 0 },
    evaluations: Array.from({ length: 20 }, (_, i) => ({
      ...{ set: sets[i % sets.length] ?? '', step: i * 1000, epoch: i / 5 },
      values: { loss: Math.random(), completionLoss: Math.random(), accuracy: Math.random(), kappa: Math.random() },
    })),
  };
}

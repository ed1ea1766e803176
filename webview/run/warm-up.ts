/**
 * Loops run slowly until they are compiled, and they are compiled while they run: the first chart would take three times as long
 * as the second. So a chart of noise is drawn that nobody sees, while logs are still being read.
 */

import { charts } from '../../src/core/view/charts.js';
import { columnNames } from '../../src/core/view/columns.js';
import { firstPanelState, type PanelRun } from '../../src/core/view/run-panel.js';
import { element } from '../shared/dom.js';
import type { Theme } from '../shared/theme.js';
import { curvesOf, Looks } from './curves.js';
import { RunModel } from './model.js';
import { CurvePlot } from './plot.js';
import { Raster } from './raster.js';
import { Chart } from './trace-controller.js';

const runs = 8;
const points = 20_000;

export function warmUp(theme: Theme): void {
  const [chart] = charts;
  if (chart === undefined) return;
  const canvas = element('canvas', { width: 400, height: 200 });
  const packed = new Float32Array(columnNames.length * points);
  const values = columnNames.indexOf(chart.id) * points;
  for (let i = 0; i < points; i++) {
    packed[i] = i;
    packed[values + i] = Math.random();
  }
  const models = Array.from({ length: runs }, (_, i) => new RunModel(infoOf(String(i))));
  for (const model of models) model.put(0, packed.buffer);
  const plot = new CurvePlot({
    ...{ chart, curves: curvesOf(chart, new Looks(models, theme), firstPanelState), state: firstPanelState },
    ...{ log: false, span: () => ({ from: 0, to: points }), raster: new Raster(), background: theme.background },
    ...{ contrast: false, emphasis: () => undefined },
  });
  plot.refresh();
  const made = new Chart<'trace'>(canvas, {
    type: 'trace',
    data: { datasets: [{ data: [], plot: () => plot }] },
    options: {
      ...{ responsive: false, animation: false, events: [] },
      scales: { x: { type: 'linear', min: 0, max: points }, y: { type: 'linear' } },
    },
  });
  made.destroy();
}

function infoOf(key: string): PanelRun {
  return {
    ...{ key, name: key, label: key, experiment: '', kind: 'train', state: 'finished', reason: null, created: null },
    ...{ step: points, totalSteps: null, stepsPerEpoch: null, trainSeconds: null, remainingSeconds: null },
    ...{ device: null, trainableParameters: null, config: {}, evaluations: [], checkpoints: [], warnings: 0 },
  };
}

/**
 * A chart type for chart.js: curves drawn straight from columns and pyramids. chart.js lays out, scales and labels; no element
 * is made for a point, so that a frame costs what the pixels cost, whatever the number of points.
 */

import {
  type CartesianParsedData,
  type CartesianScaleTypeRegistry,
  Chart,
  type ChartComponentLike,
  type ChartDataset,
  type ChartOptions,
  type CoreChartOptions,
  DatasetController,
  LinearScale,
  LogarithmicScale,
  type Plugin,
  PointElement,
  type Scale,
} from 'chart.js';

export interface Area {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** From values to pixels, without chart.js's checks at every point. */
export interface Projection {
  readonly area: Area;
  readonly from: number;
  readonly to: number;
  x(value: number): number;
  y(value: number): number;
}

/** What a chart of this type draws. */
export interface Plot {
  /** Least and greatest value of what is seen; undefined: there is nothing. */
  extent(): { min: number; max: number } | undefined;
  draw(context: CanvasRenderingContext2D, projection: Projection): void;
}

declare module 'chart.js' {
  interface ChartTypeRegistry {
    trace: {
      chartOptions: CoreChartOptions<'trace'>;
      datasetOptions: { plot: () => Plot };
      defaultDataPoint: number;
      metaExtensions: object;
      parsedDataType: CartesianParsedData;
      scales: keyof CartesianScaleTypeRegistry;
    };
  }
}

export class TraceController extends DatasetController<'trace'> {
  static id = 'trace';
  static defaults = { datasetElementType: false, dataElementType: 'point', animation: false };

  private get plot(): Plot | undefined {
    const dataset = this.chart.data.datasets[this.index];
    return dataset !== undefined && isTrace(dataset) ? dataset.plot?.() : undefined;
  }

  override getMinMax(scale: Scale): { min: number; max: number } {
    return (scale.axis === 'y' ? this.plot?.extent() : undefined) ?? { min: 0, max: 1 };
  }

  override update(): void {
    // There are no elements.
  }

  override draw(): void {
    const { ctx, chartArea, scales } = this.chart;
    if (scales.x === undefined || scales.y === undefined) return;
    this.plot?.draw(ctx, projectionOf(chartArea, scales.x, scales.y));
  }
}

function isTrace(dataset: ChartDataset): dataset is ChartDataset<'trace'> {
  return 'plot' in dataset;
}

export function projectionOf(area: Area, x: Scale, y: Scale): Projection {
  const log = y.type === 'logarithmic';
  const low = log ? Math.log(y.min) : y.min;
  const high = log ? Math.log(y.max) : y.max;
  const perX = x.max > x.min ? (area.right - area.left) / (x.max - x.min) : 0;
  const perY = high > low ? (area.bottom - area.top) / (high - low) : 0;
  const { min: from, max: to } = x;
  return {
    area,
    from,
    to,
    x: (value) => area.left + (value - from) * perX,
    y: log ? (value) => area.bottom - (Math.log(value) - low) * perY : (value) => area.bottom - (value - low) * perY,
  };
}

const parts: ChartComponentLike[] = [TraceController, LinearScale, LogarithmicScale, PointElement];
Chart.register(...parts);

export { Chart, type ChartOptions, type Plugin };

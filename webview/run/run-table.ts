/** The runs as rows: how far, how good, and by what their configs differ. */

import { type ChartDefinition, charts, formatFigure, formatSeconds } from '../../src/core/view/charts.js';
import { configDifferences, lastFigure } from '../../src/core/view/panel-runs.js';
import type { PanelRun } from '../../src/core/view/run-panel.js';
import { element, patch } from '../shared/dom.js';
import { icon } from '../shared/icons.js';
import { formatNumber } from '../shared/text.js';
import { stateBadge } from './header.js';
import { swatch } from './legend.js';
import type { RunModel } from './model.js';
import { nearPixels, toggled, type View } from './view.js';

interface Column {
  readonly id: string;
  readonly title: string;
  readonly about: string;
  readonly numeric: boolean;
  readonly kind: 'fact' | 'figure' | 'config';
  readonly sortBy: (run: PanelRun) => number | string | null;
  readonly text: (run: PanelRun) => string;
  readonly better: ChartDefinition['better'];
}

const figures = ['loss', 'completionLoss', 'accuracy', 'kappa', 'entropy'] as const;

export class RunTable {
  readonly root = element('section', { class: 'runs', 'aria-label': 'Runs' });

  constructor(private readonly view: View) {}

  /** Whether a person sees it, or nearly. */
  near(): boolean {
    const { top, bottom } = this.root.getBoundingClientRect();
    return bottom > -nearPixels && top < window.innerHeight + nearPixels;
  }

  render(): void {
    const { view, root } = this;
    const { state, runs } = view;
    const infos = runs.map(({ info }) => info);
    const columns = columnsOf(infos, state.differencesOnly);
    const differ = new Set(configDifferences(infos));
    const rows = sorted(runs, columns, state.sort);
    const best = new Map(columns.map((column) => [column.id, bestCell(infos, column)]));
    const body = rows.map((run) => this.row(run, columns, best, differ));
    patch(
      root,
      element(
        'header',
        { class: 'section-header' },
        element('h2', {}, runs.length === 1 ? 'Config' : 'Runs'),
        runs.length > 1
          ? element(
              'label',
              { class: 'tool' },
              element('input', {
                type: 'checkbox',
                checked: state.differencesOnly,
                'data-focus': 'differences',
                onchange: () => view.change({ differencesOnly: !view.state.differencesOnly }),
              }),
              'Config differences only',
            )
          : null,
      ),
      runs.length === 1
        ? configList(infos[0])
        : element(
            'div',
            { class: 'table-frame', tabindex: 0, role: 'region', 'aria-label': 'Table of runs' },
            element(
              'table',
              {},
              element('thead', {}, element('tr', {}, ...columns.map((column) => this.heading(column, differ)))),
              element('tbody', {}, ...body),
            ),
          ),
    );
  }

  private heading(column: Column, differ: ReadonlySet<string>): HTMLElement {
    const { sort } = this.view.state;
    const sortedBy = sort?.column === column.id;
    const order = !sortedBy ? 'none' : sort.descending ? 'descending' : 'ascending';
    const classes = [column.kind, column.numeric ? 'numeric' : '', differ.has(column.id) ? 'differs' : ''];
    return element(
      'th',
      { scope: 'col', 'aria-sort': order, class: classes.join(' ').trim() },
      element(
        'button',
        {
          class: 'sort',
          type: 'button',
          title: column.about,
          'data-focus': `sort:${column.id}`,
          onclick: () => this.view.change({ sort: nextSort(column, sort) }),
        },
        column.title,
        element('span', { class: 'arrow', 'aria-hidden': 'true' }, sortedBy ? (sort.descending ? '▾' : '▴') : ''),
      ),
    );
  }

  private row(
    run: RunModel,
    columns: readonly Column[],
    best: ReadonlyMap<string, number | undefined>,
    differ: ReadonlySet<string>,
  ): HTMLElement {
    const { view } = this;
    const { info, key } = run;
    const hidden = view.state.hiddenRuns.includes(key);
    const cells = columns.map((column) => {
      if (column.id === 'name') return this.nameCell(run, hidden);
      if (column.id === 'state') return element('td', {}, stateBadge(info));
      const text = column.text(info);
      const isBest = column.kind === 'figure' && column.sortBy(info) === best.get(column.id) && text !== '–';
      const classes = [
        column.numeric ? 'numeric' : '',
        isBest ? 'best' : '',
        column.kind === 'config' ? 'config' : '',
        differ.has(column.id) ? 'differs' : '',
      ];
      return element(
        'td',
        {
          class: classes.join(' ').trim(),
          title: column.kind === 'config' ? text : isBest ? 'The best of these' : null,
        },
        text,
        isBest ? element('span', { class: 'visually-hidden' }, ' (best)') : null,
      );
    });
    return element(
      'tr',
      {
        class: hidden ? 'off' : null,
        'data-key': key,
        onmouseenter: () => view.setEmphasis(hidden ? undefined : key),
        onmouseleave: () => view.setEmphasis(undefined),
      },
      ...cells,
    );
  }

  private nameCell(run: RunModel, hidden: boolean): HTMLElement {
    const { view } = this;
    const { key, info } = run;
    return element(
      'th',
      { scope: 'row', class: 'name' },
      element(
        'div',
        {},
        element('input', {
          type: 'checkbox',
          checked: !hidden,
          'aria-label': `Show ${info.label}`,
          'data-focus': `show:${key}`,
          onchange: () => view.change({ hiddenRuns: toggled(view.state.hiddenRuns, key) }),
        }),
        swatch(view.looks.runColor(key), 'line', view.looks.runDash(run)),
        element('span', { class: 'run-label', title: `${info.experiment} / ${info.name}` }, info.label),
        element(
          'button',
          {
            class: 'plain remove',
            type: 'button',
            'aria-label': `Take ${info.label} out of the panel`,
            title: 'Take out of the panel',
            'data-focus': `remove:${key}`,
            onclick: () => view.send({ type: 'remove', key }),
          },
          icon('cross'),
        ),
      ),
    );
  }
}

function columnsOf(runs: readonly PanelRun[], differencesOnly: boolean): Column[] {
  const fact = (
    id: string,
    title: string,
    text: (run: PanelRun) => string,
    sortBy: (run: PanelRun) => number | string | null = text,
    numeric = false,
  ): Column => ({ id, title, about: title, numeric, kind: 'fact', sortBy, text, better: null });
  const measured = figures.flatMap((id): Column[] => {
    const chart = charts.find((one) => one.id === id);
    if (chart === undefined || runs.every((run) => lastFigure(run, chart) === null)) return [];
    return [
      {
        id: `figure:${id}`,
        title: chart.title === "Cohen's kappa" ? 'Kappa' : chart.title,
        about: `${chart.about} At the last evaluation, on the first set.`,
        numeric: true,
        kind: 'figure',
        sortBy: (run) => lastFigure(run, chart),
        text: (run) => formatFigure(lastFigure(run, chart), chart.unit),
        better: chart.better,
      },
    ];
  });
  const keys = differencesOnly
    ? configDifferences(runs)
    : [...new Set(runs.flatMap(({ config }) => Object.keys(config)))];
  return [
    fact('name', 'Run', ({ label }) => label),
    fact('state', 'State', ({ state }) => state),
    fact(
      'step',
      'Step',
      ({ step, totalSteps }) => `${formatNumber(step)}${totalSteps === null ? '' : ` / ${formatNumber(totalSteps)}`}`,
      ({ step }) => step,
      true,
    ),
    fact(
      'time',
      'Time',
      ({ trainSeconds }) => (trainSeconds === null || trainSeconds === 0 ? '–' : formatSeconds(trainSeconds)),
      ({ trainSeconds }) => trainSeconds,
      true,
    ),
    ...measured,
    ...keys.map(
      (key): Column => ({
        id: key,
        title: key,
        about: `Config: ${key}`,
        numeric: runs.every(({ config }) => config[key] === undefined || isNumber(config[key])),
        kind: 'config',
        sortBy: ({ config }) => {
          const value = config[key];
          return value === undefined ? null : isNumber(value) ? Number(value) : value;
        },
        text: ({ config }) => config[key] ?? '–',
        better: null,
      }),
    ),
  ];
}

function isNumber(text: string): boolean {
  return text.trim() !== '' && Number.isFinite(Number(text));
}

function nextSort(
  { id, better }: Column,
  sort: { column: string; descending: boolean } | null,
): { column: string; descending: boolean } | null {
  const first = better === 'high';
  if (sort?.column !== id) return { column: id, descending: first };
  return sort.descending === first ? { column: id, descending: !first } : null;
}

/** In the given order where nothing else is asked for; missing values last. */
function sorted(
  runs: readonly RunModel[],
  columns: readonly Column[],
  sort: { column: string; descending: boolean } | null,
): RunModel[] {
  const column = columns.find(({ id }) => id === sort?.column);
  if (column === undefined || sort === null) return [...runs];
  const sign = sort.descending ? -1 : 1;
  return [...runs].sort((a, b) => {
    const [x, y] = [column.sortBy(a.info), column.sortBy(b.info)];
    if (x === null || y === null) return x === y ? 0 : x === null ? 1 : -1;
    if (typeof x === 'number' && typeof y === 'number') return sign * (x - y);
    return sign * String(x).localeCompare(String(y), undefined, { numeric: true });
  });
}

function bestCell(runs: readonly PanelRun[], { better, sortBy }: Column): number | undefined {
  if (better === null) return undefined;
  const values = runs.map(sortBy).filter((value) => typeof value === 'number');
  if (new Set(values).size < 2) return undefined;
  return better === 'high' ? Math.max(...values) : Math.min(...values);
}

/** One run alone: its config, key by key. */
function configList(run: PanelRun | undefined): HTMLElement {
  return element(
    'dl',
    { class: 'config-list' },
    ...Object.entries(run?.config ?? {}).map(([key, value]) =>
      element(
        'div',
        { class: 'entry' },
        element('dt', { class: 'mono' }, key),
        element('dd', { class: 'mono', title: value }, value || '""'),
      ),
    ),
  );
}

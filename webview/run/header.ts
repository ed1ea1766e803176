/** What is shown, how far it is, and what can be done with it. */

import { formatCount, formatDuration } from '../../src/core/units.js';
import { charts, formatFigure, formatSeconds } from '../../src/core/view/charts.js';
import { bestOf } from '../../src/core/view/panel-runs.js';
import type { FromPanel, PanelRun } from '../../src/core/view/run-panel.js';
import { action } from '../shared/action.js';
import { element, patch } from '../shared/dom.js';
import { type Icon, icon } from '../shared/icons.js';
import { formatNumber } from '../shared/text.js';
import { swatch } from './legend.js';
import type { View } from './view.js';

type RunCommand = Extract<FromPanel, { type: 'command' }>['command'];

/** Figures called out above the charts, as far as there are any. */
const tiles = ['accuracy', 'kappa', 'completionLoss', 'tokenAccuracy', 'entropy'] as const;

export class Header {
  readonly root = element('header', { class: 'page-header' });

  constructor(private readonly view: View) {}

  render(): void {
    const { root, view } = this;
    const [first] = view.runs;
    if (first === undefined) return;
    const alone = view.runs.length === 1 ? first.info : undefined;
    patch(
      root,
      element(
        'div',
        { class: 'title-row' },
        element('h1', {}, alone?.label ?? `${view.runs.length} runs compared`),
        alone === undefined ? null : stateBadge(alone),
        element('span', { class: 'spacer' }),
        element('div', { class: 'actions' }, ...this.actions(alone)),
      ),
      element('p', { class: 'muted subtitle' }, ...this.subtitle(alone)),
      ...this.liveRuns().map((run) => this.progress(run)),
      alone?.state === 'failed' && alone.reason !== null
        ? element('p', { class: 'failure', role: 'alert' }, icon('warning'), alone.reason)
        : null,
      this.missing(),
      this.tiles(),
    );
  }

  private missing(): HTMLElement | null {
    const { missing } = this.view;
    if (missing.length === 0) return null;
    const take = (): void => {
      for (const key of missing) this.view.send({ type: 'remove', key });
    };
    return element(
      'p',
      { class: 'notice', title: missing.join('\n') },
      icon('warning'),
      element(
        'span',
        {},
        missing.length === 1
          ? `${nameOf(missing[0] ?? '')} is not there any more.`
          : `${missing.length} runs are not there any more.`,
      ),
      action('cross', 'Take out', 'Take out of the panel', take),
    );
  }

  private liveRuns(): PanelRun[] {
    return this.view.runs.map(({ info }) => info).filter(({ state }) => state === 'running');
  }

  private subtitle(alone: PanelRun | undefined): string[] {
    const { runs } = this.view;
    if (alone === undefined) return [[...new Set(runs.map(({ info }) => info.experiment))].join(', ')];
    const parts = [
      alone.experiment,
      ...(alone.created === null ? [] : [new Date(alone.created).toLocaleString()]),
      ...(alone.device === null ? [] : [alone.device]),
      ...(alone.trainableParameters === null ? [] : [`${formatCount(alone.trainableParameters)} trainable parameters`]),
      ...(alone.state !== 'running' && alone.trainSeconds !== null
        ? [`${formatNumber(alone.step)} steps in ${formatSeconds(alone.trainSeconds)}`]
        : []),
      ...(alone.warnings > 0 ? [`${alone.warnings} ${alone.warnings === 1 ? 'warning' : 'warnings'} in the log`] : []),
    ];
    return [parts.join(' · ')];
  }

  private actions(alone: PanelRun | undefined): HTMLElement[] {
    const { view } = this;
    const made: HTMLElement[] = [];
    if (alone !== undefined) {
      if (alone.state === 'running') made.push(this.command('stop', 'stop', 'Stop', alone.key));
      if (alone.state === 'stopped' || alone.state === 'interrupted' || alone.state === 'failed') {
        made.push(this.command('resume', 'play', 'Resume', alone.key));
      }
      made.push(this.command('terminal', 'terminal', 'Terminal', alone.key));
      made.push(this.command('log', 'log', 'Log', alone.key), this.command('config', 'gear', 'Config', alone.key));
    }
    const keys = view.runs.filter((run) => !run.level).map(({ key }) => key);
    if (keys.length > 0) {
      const title = 'What the model said at each evaluation';
      made.push(action('chat', 'Samples', title, () => view.send({ type: 'openSamples', keys })));
    }
    made.push(action('plus', 'Add run…', 'Show more runs in these charts', () => view.send({ type: 'add' })));
    return made;
  }

  private command(command: RunCommand, name: Icon, label: string, key: string): HTMLElement {
    return action(name, label, label, () => this.view.send({ type: 'command', command, key }));
  }

  private progress(run: PanelRun): HTMLElement {
    const { step, totalSteps, remainingSeconds, label } = run;
    const share = totalSteps === null || totalSteps === 0 ? null : Math.min(1, step / totalSteps);
    const bar = element('div', {
      class: 'bar',
      role: 'progressbar',
      'aria-label': `Progress of ${label}`,
      'aria-valuemin': 0,
      'aria-valuemax': 100,
      'aria-valuenow': share === null ? null : Math.round(share * 100),
    });
    const filled = element('div', { class: 'bar-fill' });
    filled.style.width = `${(share ?? 0) * 100}%`;
    bar.append(filled);
    const text = [
      `step ${formatNumber(step)}${totalSteps === null ? '' : ` of ${formatNumber(totalSteps)}`}`,
      ...(share === null ? [] : [`${Math.floor(share * 100)}%`]),
      ...(remainingSeconds === null ? [] : [`${formatDuration(remainingSeconds)} left`]),
    ].join(' · ');
    return element(
      'div',
      { class: 'progress', 'data-key': run.key },
      this.view.runs.length > 1 ? element('span', { class: 'progress-name' }, label) : null,
      bar,
      element('span', { class: 'progress-text' }, text),
    );
  }

  /** The best values of the runs shown. */
  private tiles(): HTMLElement | null {
    const { view } = this;
    const sets = new Set(view.looks.sets.filter((set) => !view.state.hiddenSets.includes(set)));
    const infos = view.shown.filter((run) => !run.level).map(({ info }) => info);
    const made = tiles.flatMap((id) => {
      const chart = charts.find((one) => one.id === id);
      const best = chart === undefined ? undefined : bestOf(chart, infos, sets);
      if (chart === undefined || best === undefined) return [];
      const run = view.runs.find(({ key }) => key === best.key);
      const many = view.runs.length > 1;
      return [
        element(
          'div',
          { class: 'tile', 'data-key': id },
          element('dt', {}, `Best ${chart.title === "Cohen's kappa" ? 'kappa' : chart.title.toLowerCase()}`),
          element('dd', { class: 'tile-value' }, formatFigure(best.value, chart.unit)),
          element(
            'dd',
            { class: 'tile-where', title: run?.info.label ?? '' },
            many && run !== undefined ? swatch(view.looks.runColor(best.key), 'line', view.looks.runDash(run)) : null,
            element(
              'span',
              {},
              [
                ...(many ? [run?.info.label ?? ''] : []),
                ...(view.looks.sets.length > 1 ? [best.set] : []),
                `step ${formatNumber(best.step)}`,
              ].join(' · '),
            ),
          ),
        ),
      ];
    });
    return made.length === 0 ? null : element('dl', { class: 'tiles' }, ...made);
  }
}

export function stateBadge({ state, reason }: Pick<PanelRun, 'state' | 'reason'>): HTMLElement {
  const names = {
    queued: 'Queued',
    running: 'Running',
    interrupted: 'Interrupted',
    stopped: 'Stopped',
    finished: 'Finished',
    failed: 'Failed',
  };
  return element(
    'span',
    { class: `badge ${state}`, title: reason },
    element('span', { class: 'badge-dot' }),
    names[state],
  );
}

/** A run's name, of its folder. */
function nameOf(folder: string): string {
  return folder.split(/[\\/]/).at(-1) ?? folder;
}

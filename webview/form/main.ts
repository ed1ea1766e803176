/** The Fine-tune form: a function of the state that the extension sends. What a person does goes back as intents. */

import '../shared/base.css';
import './form.css';
import { type FormPageState, type FormState, formPageState, fromForm, toForm } from '../../src/core/view/form.js';
import { element, fill, makeAnnouncer, rootElement } from '../shared/dom.js';
import { connect } from '../shared/host.js';
import {
  registerControls,
  vsCodeButton,
  vsCodeDropdown,
  vsCodeOption,
  vsCodeProgressRing,
  vsCodeRadio,
  vsCodeRadioGroup,
  vsCodeTextField,
} from '../shared/toolkit.js';
import { Actions } from './actions.js';
import { DataSection } from './data.js';
import { Fields } from './fields.js';
import { Figures } from './figures.js';

registerControls(
  vsCodeButton(),
  vsCodeDropdown(),
  vsCodeOption(),
  vsCodeProgressRing(),
  vsCodeRadio(),
  vsCodeRadioGroup(),
  vsCodeTextField(),
);

const fallback: FormPageState = { uri: '', values: null, more: false };
const host = connect({ incoming: toForm, state: formPageState, fallback });
const send = (message: Parameters<typeof fromForm.parse>[0]): void => host.send(fromForm.parse(message));
let kept = host.state;

const keep = (change: Partial<FormPageState>): void => {
  kept = { ...kept, ...change };
  host.keep(kept);
};

const fields = new Fields({
  set: (key, value) => send({ type: 'set', key, value }),
  preset: (id) => send({ type: 'preset', id }),
  pickModel: () => send({ type: 'pickModel' }),
  pickEvaluation: () => send({ type: 'pickEvaluation' }),
  more: kept.more,
  onMore: (more) => keep({ more }),
});
const figures = new Figures(() => send({ type: 'measure' }));
const data = new DataSection(
  (file, line) => send({ type: 'reveal', file, line }),
  () => send({ type: 'preview' }),
  () => send({ type: 'set', key: 'on_bad_record', value: 'skip' }),
);
const actions = new Actions({
  start: (compare) => send({ type: 'start', compare }),
  save: () => send({ type: 'save' }),
  openRun: () => send({ type: 'openRun' }),
});
const title = element('h1');
const subtitle = element('p', { class: 'muted' });
const root = rootElement();
const announce = makeAnnouncer(document.body);
let announced = '';

fill(
  root,
  element('header', { class: 'head' }, title, subtitle, data.errors),
  element(
    'div',
    { class: 'columns' },
    fields.element,
    element('div', { class: 'facts' }, figures.element, data.element),
  ),
  actions.element,
);
root.hidden = true;

host.listen((state) => {
  root.hidden = false;
  show(state);
  keep({ uri: state.dataSet.uri, values: state.values });
});
send({ type: 'ready' });

function show(state: FormState): void {
  fill(title, 'Fine-tune ', element('span', { class: 'name' }, state.dataSet.name));
  subtitle.textContent = data.describe(state);
  fields.show(state);
  figures.show(state);
  data.show(state);
  actions.show(state);
  // Screen readers hear what matters: figures once they stand, and how the start went.
  const news = [figures.summary(state), actions.summary(state)].filter((part) => part !== '').join('. ');
  if (news !== announced) announce(news);
  announced = news;
}

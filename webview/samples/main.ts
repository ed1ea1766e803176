/** The page of the samples view. */

import { firstSamplesState, samplesState, toSamples } from '../../src/core/view/samples.js';
import { rootElement } from '../shared/dom.js';
import { connect } from '../shared/host.js';
import '../shared/base.css';
import '../shared/actions.css';
import '../shared/fields.css';
import { App } from './app.js';
import './samples.css';

new App(connect({ incoming: toSamples, state: samplesState, fallback: firstSamplesState }), rootElement());

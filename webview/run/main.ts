/** The run panel's page. */

import { firstPanelState, panelState, toPanel } from '../../src/core/view/run-panel.js';
import { rootElement } from '../shared/dom.js';
import { connect } from '../shared/host.js';
import '../shared/base.css';
import '../shared/actions.css';
import { registerControls, vsCodeCheckbox } from '../shared/toolkit.js';
import { App } from './app.js';
import './run.css';

registerControls(vsCodeCheckbox());
new App(connect({ incoming: toPanel, state: panelState, fallback: firstPanelState }), rootElement());

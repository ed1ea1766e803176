/** The page of the data set preview. */

import { firstPreviewState, previewState, toPreview } from '../../src/core/view/preview.js';
import { rootElement } from '../shared/dom.js';
import { connect } from '../shared/host.js';
import '../shared/base.css';
import '../shared/fields.css';
import { App } from './app.js';
import './preview.css';

new App(connect({ incoming: toPreview, state: previewState, fallback: firstPreviewState }), rootElement());

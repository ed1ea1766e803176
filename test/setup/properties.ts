/** Property tests try the same values each time, so that a change is judged by what it changed; set `FC_SEED` to try others. */

import fc from 'fast-check';

const seed = Number(process.env.FC_SEED ?? 20260101);
fc.configureGlobal({ seed });

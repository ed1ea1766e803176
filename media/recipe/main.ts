/**
 * `npm run recipe -- examples`: writes media/examples/*.jsonl.
 * `npm run recipe -- starter`: writes .cache/starter/, from which `sft-lab train media/recipe/pretrain.sft.json` pre-trains.
 */

import { writeExamples } from './examples.js';
import { writeStarter } from './starter.js';

const [task] = process.argv.slice(2);
switch (task) {
  case 'examples':
    await writeExamples('media/examples');
    break;
  case 'starter':
    await writeStarter('.cache/starter');
    break;
  default:
    process.stderr.write('Usage: npm run recipe -- examples|starter\n');
    process.exitCode = 2;
}

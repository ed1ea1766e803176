/**
 * The recipe's tasks, run in the project's folder by `npm run recipe -- TASK`:
 *
 *   examples   writes media/examples/*.jsonl
 *   starter    writes the starter model's corpus, tokenizer and config to .cache/starter/
 *   pretrain   the same, then pre-trains the model and writes media/starter-model/
 */

import { writeExamples } from './examples.js';
import { pretrain } from './pretrain.js';
import { writeStarter } from './starter.js';

const [task] = process.argv.slice(2);
switch (task) {
  case 'examples':
    await writeExamples('media/examples');
    break;
  case 'starter':
    await writeStarter('.cache/starter');
    break;
  case 'pretrain':
    await writeStarter('.cache/starter');
    await pretrain('media/starter-model');
    break;
  default:
    process.stderr.write('Usage: npm run recipe -- examples|starter|pretrain\n');
    process.exitCode = 2;
}

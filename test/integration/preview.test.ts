/** The tokens of an open data set are the trainer's, for every template and format. */

import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { openTrainingData } from '../../src/data/index.js';
import { openDataView } from '../../src/data/view/index.js';
import buildDataWorker from '../setup/data-worker.js';
import { fileWith, jsonl, templateText, tokenizerFolder, trainingOptions } from '../unit/data/support.js';

beforeAll(buildDataWorker);

describe('its tokens are those of the trainer, byte for byte', () => {
  const folder = fileURLToPath(new URL('../fixtures/data/templates/', import.meta.url));
  const templates = readdirSync(folder).map((name) => name.replace('.jinja', ''));
  const tokenizerOf = (template: string) =>
    template.startsWith('llama3') ? 'llama3' : /^(llama2|mistral)/.test(template) ? 'llama2' : 'qwen';
  const formats: Record<string, readonly unknown[]> = {
    alpaca: [
      { instruction: 'Add', input: '2 and 3', output: '5' },
      { instruction: 'Größe?', input: '', output: 'naïve café 🙂' },
    ],
    sharegpt: [
      {
        conversations: [
          { from: 'human', value: 'Hi' },
          { from: 'gpt', value: 'Hello!' },
          { from: 'human', value: 'Bye' },
          { from: 'gpt', value: ' Bye. ' },
        ],
      },
    ],
    messages: [
      {
        messages: [
          { role: 'user', content: 'a\n\nb' },
          { role: 'assistant', content: 'def f():\n    return 1\n' },
        ],
      },
    ],
    custom: [{ question: 'What?', answer: 'That.' }],
    text: [{ text: 'plain text, 東京タワー' }],
  };
  test.each(templates.flatMap((template) => Object.keys(formats).map((format) => [template, format] as const)))(
    '%s, %s',
    async (template, format) => {
      const path = fileWith(jsonl(formats[format] ?? []));
      const model = { modelDirectory: tokenizerFolder(tokenizerOf(template)), chatTemplate: templateText(template) };
      for (const [lossOn, maxLength] of [
        ['completion', 512],
        ['all', 12],
      ] as const) {
        const options = trainingOptions({
          train: [{ path, format: 'auto' }],
          ...model,
          lossOn,
          maxLength,
          shuffle: false,
        });
        const data = await openTrainingData({ ...options, onBadRecord: 'skip' }).catch(() => undefined);
        const view = await openDataView(path);
        try {
          const shown = await view.tokens({ from: 0, count: 10, model: options, format: 'auto' });
          await data?.seek(0, 0);
          let compared = 0;
          for (const example of (await data?.next(10)) ?? []) {
            const row = shown[example.place.index];
            if (row === undefined || 'problem' in row) throw new Error(`row ${example.place.index} has no tokens`);
            expect(row.tokens.slice(0, maxLength)).toEqual(example.tokens);
            expect(row.groups.slice(0, maxLength)).toEqual(example.groups);
            expect(Math.max(0, row.tokens.length - maxLength)).toBe(example.truncated);
            const mask = row.groups
              .slice(0, maxLength)
              .map((group, i) => (i > 0 && (group === 2 || lossOn === 'all') ? 1 : 0));
            expect(mask).toEqual(example.mask);
            compared++;
          }
          // A template may refuse a record; then neither has tokens of it.
          expect(compared > 0 || shown.every((row) => 'problem' in row)).toBe(true);
        } finally {
          await data?.close();
          await view.close();
        }
      }
    },
  );
});

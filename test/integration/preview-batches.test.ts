/** What you see is what you train: the preview's tokens and mask are the trainer's batches, for every format and template of the fixtures. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RecordFormat, TokenGroup, type TokenizedExample } from '../../src/core/data.js';
import { hasLoss, type LossOn } from '../../src/core/mask.js';
import type { RowTokens, ToPreview } from '../../src/core/view/preview.js';
import { openTrainingData } from '../../src/data/index.js';
import { PreviewSession } from '../../src/editor/preview/session.js';
import { toBatch } from '../../src/train/batching.js';
import buildDataWorker from '../setup/data-worker.js';
import { modelFolder, reference, type TokenizerName, templateText, trainingOptions } from '../unit/data/support.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
mkdirSync(join(root, 'build'), { recursive: true });
const folder = mkdtempSync(join(root, 'build', 'test-batches-'));
const program = join(folder, 'preview-worker.mjs');
const maxLength = 100;

beforeAll(async () => {
  await buildDataWorker();
  await build({
    absWorkingDir: root,
    entryPoints: ['src/editor/preview/worker.ts'],
    outfile: program,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    banner: {
      js: "import { createRequire as labRequire } from 'node:module'; const require = labRequire(import.meta.url);",
    },
  });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const { conversations, cases } = reference();
type Turn = Readonly<Record<string, unknown>>;

/** A conversation in each format that can say it. */
const writers: Readonly<Record<RecordFormat, (turns: readonly Turn[]) => unknown>> = {
  messages: (messages) => ({ messages }),
  sharegpt: (turns) => {
    const from: Readonly<Record<string, string>> = { system: 'system', user: 'human', assistant: 'gpt' };
    const said = turns.map(({ role, content }) => ({ from: from[String(role)], value: content }));
    return turns.every((turn) => from[String(turn.role)] !== undefined && Object.keys(turn).length === 2)
      ? { conversations: said }
      : undefined;
  },
  alpaca: (turns) => {
    const pair = pairOf(turns);
    return pair === undefined ? undefined : { instruction: pair[0], input: '', output: pair[1] };
  },
  custom: (turns) => {
    const pair = pairOf(turns);
    return pair === undefined ? undefined : { prompt: pair[0], completion: pair[1] };
  },
  text: (turns) => ({ text: turns.map(({ content }) => String(content)).join('\n') }),
};

function pairOf(turns: readonly Turn[]): [string, string] | undefined {
  const [user, assistant] = turns;
  if (turns.length !== 2 || user?.role !== 'user' || assistant?.role !== 'assistant') return undefined;
  return [String(user.content), String(assistant.content)];
}

/** Tokens as the page marks them. */
function seen(row: RowTokens, path: string, lossOn: LossOn): TokenizedExample {
  const size = Math.min(row.total, maxLength);
  const tokens = Int32Array.from(row.ids.slice(0, size));
  const groups = new Uint8Array(size);
  let at = 0;
  for (const [i, run] of row.runs.entries()) {
    groups.fill(i % 2 === 1 ? TokenGroup.completion : TokenGroup.prompt, at, Math.min(size, at + run));
    at += run;
  }
  const mask = groups.map((group, i) => (hasLoss(i, group === TokenGroup.completion, lossOn) ? 1 : 0));
  const place = { file: path, index: row.row, line: row.row + 1 };
  return { place, tokens, groups, mask, truncated: row.total - size };
}

async function previewed(path: string, model: string, template: string): Promise<RowTokens[]> {
  const heard: ToPreview[] = [];
  const session = new PreviewSession({
    path,
    name: 'set',
    folder: '',
    program,
    mapping: { format: 'auto' },
    choices: Promise.resolve({ models: [], model, evaluations: [], evaluation: '' }),
    canTrain: true,
    recordLimitMs: 60_000,
    send: (message) => void heard.push(message),
    note: (error) => {
      throw error;
    },
  });
  try {
    await session.begin();
    await session.setTemplate({ name: 'fixture', text: template });
    await session.receive({ type: 'tokens', version: 0, from: 0, count: 200 });
    const told = heard.findLast((message) => message.type === 'tokens');
    return told?.tokens.filter((row) => row !== null) ?? [];
  } finally {
    session.close();
  }
}

const templates = [...new Map(cases.map(({ template, tokenizer }) => [template, tokenizer]))];

describe.each(templates)('template %s', (template, tokenizer: TokenizerName) => {
  it.each(Object.keys(writers) as RecordFormat[])(
    'in the format %s',
    async (format) => {
      const refused = new Set(
        cases.flatMap((one) => (one.template === template && 'refused' in one ? [one.conversation] : [])),
      );
      const records = Object.entries(conversations).flatMap(([name, turns]) => {
        const record = refused.has(name) && format !== 'text' ? undefined : writers[format](turns);
        return record === undefined ? [] : [JSON.stringify(record)];
      });
      expect(records.length).toBeGreaterThan(0);
      const path = join(folder, `${template}-${format}.jsonl`);
      writeFileSync(path, `${records.join('\n')}\n`);
      const model = modelFolder(tokenizer, {
        'config.json': '{"model_type": "qwen2", "max_position_embeddings": 4096}',
      });
      const rows = await previewed(path, model, templateText(template));
      expect(rows).toHaveLength(records.length);
      for (const lossOn of ['completion', 'all'] as const) {
        const data = await openTrainingData(
          trainingOptions({
            modelDirectory: model,
            chatTemplate: templateText(template),
            train: [{ path, format: 'auto' }],
            lossOn,
            maxLength,
            shuffle: false,
            onBadRecord: 'skip',
          }),
        );
        await data.seek(0, 0);
        const trained = await data.next(1000);
        await data.close();
        const byRow = new Map(rows.map((row) => [row.row, row]));
        const examples = trained.map(({ place }) => {
          const row = byRow.get(place.index);
          if (row === undefined || row.problem !== undefined) throw new Error(`row ${place.index}: ${row?.problem}`);
          byRow.delete(place.index);
          return seen(row, path, lossOn);
        });
        expect(examples.length).toBeGreaterThan(0);
        for (const measure of ['completions', 'everything'] as const) {
          expect(toBatch(examples, measure)).toEqual(toBatch(trained, measure));
        }
        expect(examples.map(({ truncated }) => truncated)).toEqual(trained.map(({ truncated }) => truncated));
        // What the trainer passes over has no token to learn here either, or is refused here too.
        for (const row of byRow.values()) {
          expect(row.problem !== undefined || seen(row, path, lossOn).mask.every((one) => one === 0)).toBe(true);
        }
      }
    },
    120_000,
  );
});

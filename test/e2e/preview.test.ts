/** The data set preview in the editor: every kind of file, views and mask, find and save, problems, a million rows, raw text. */

import { appendFileSync, cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Frame, Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { fillWithExamples, useLab } from './harness/lab.js';
import { root } from './harness/server.js';

const tables = join(root, 'test', 'fixtures', 'tables');
const opened = ['flat.xlsx', 'flat.parquet', 'flat.jsonl.gz', 'flat.jsonl.zst', 'file.arrow'];
const many = 1_000_000;
const grown = '{"prompt":"one","completion":"1"}\n{"prompt":"two","completion":"2"}\n';

function fill(folder: string): void {
  fillWithExamples(folder);
  for (const name of ['flat.csv', ...opened]) cpSync(join(tables, name), join(folder, name));
  cpSync(join(tables, 'datasets'), join(folder, 'saved'), { recursive: true });
  const lines = Array.from({ length: 60 }, (_, i) =>
    JSON.stringify({ prompt: `question ${i}`, completion: `answer ${i}` }),
  );
  lines[3] = '{"prompt": "broken';
  lines[5] = JSON.stringify({ prompt: '<script>alert(1)</script>\u202e\u001b[31m', completion: '' });
  lines[9] = lines[8] ?? '';
  for (const name of ['bad.jsonl', 'raw.jsonl']) writeFileSync(join(folder, name), `${lines.join('\n')}\n`);
  const llama = join(folder, 'models', 'llama3');
  cpSync(join(root, 'test', 'fixtures', 'tokenizers', 'llama3'), llama, { recursive: true });
  const weights = join(root, 'test', 'fixtures', 'reference', 'llama3-tied');
  cpSync(join(weights, 'model.safetensors'), join(llama, 'model.safetensors'));
  const config: object = JSON.parse(readFileSync(join(weights, 'config.json'), 'utf8'));
  writeFileSync(join(llama, 'config.json'), JSON.stringify({ ...config, max_position_embeddings: 4096 }));
  cpSync(join(root, 'test', 'fixtures', 'data', 'templates', 'llama3.jinja'), join(llama, 'chat_template.jinja'));
  writeFileSync(
    join(folder, 'plain.jinja'),
    '{% for message in messages %}[{{ message.role }}] {{ message.content }}{{ eos_token }}{% endfor %}' +
      '{% if add_generation_prompt %}[assistant] {% endif %}',
  );
  writeFileSync(join(folder, 'asked.jsonl'), `${JSON.stringify({ ask: 'Why?', say: 'So.' })}\n`);
  writeFileSync(join(folder, 'other.jsonl'), '{"a": 1}\n{"b": 2}\n');
  writeFileSync(join(folder, 'wide.jsonl'), Buffer.from('\ufeff{"prompt":"Größe?","completion":"日本"}\n', 'utf16le'));
  writeFileSync(join(folder, 'grows.jsonl'), grown);
  const rows = Array.from({ length: many }, (_, i) => `{"prompt":"p${i}","completion":"c"}`);
  writeFileSync(join(folder, 'million.jsonl'), `${rows.join('\n')}\n`);
}

// Room for the rows and the overview beside them.
const lab = useLab({ fill, settings: { 'workbench.secondarySideBar.defaultVisibility': 'hidden' } });

async function preview(name: string): Promise<Frame> {
  await lab().showView('Explorer');
  await lab().menu(await lab().listed(name), 'Preview Data Set');
  return shown(name);
}

async function shown(name: string): Promise<Frame> {
  const frame = await lab().webview(`Preview ${name}`);
  await frame.locator('.row:not(.waiting)').first().waitFor();
  return frame;
}

/** Answers the dialog that asks for a file's name, once it has proposed one. */
async function saveAs(proposed: string, name: string): Promise<void> {
  const input = lab().page.locator('.quick-input-widget input[type="text"]');
  await expect.poll(() => input.inputValue(), { timeout: 30_000 }).toContain(proposed);
  await input.fill(lab().path(name));
  await input.press('Enter');
}

const button = (frame: Frame, name: string) => frame.getByRole('button', { name, exact: true });

/** Makes room, as a person at a small screen would. */
async function sideBarAway(page: Page): Promise<void> {
  const width = page.viewportSize()?.width ?? 0;
  const there = await page.locator('.part.sidebar').isVisible();
  if (there === width < 1000) await page.keyboard.press('Control+b');
}

describe('the preview', () => {
  it('opens each kind of file, and a folder of Arrow files', async () => {
    for (const name of opened) {
      await lab().openFile(name);
      const frame = await shown(name);
      await frame.locator('.content').filter({ hasText: /\w/ }).first().waitFor();
      await lab().command('View: Close Editor');
    }
    const csv = await preview('flat.csv');
    await csv.getByText('57 records').waitFor();
    const folder = await preview('saved');
    await folder.getByText('518 records').waitFor();
    const wide = await preview('wide.jsonl');
    await wide.locator('.message.assistant').getByText('日本').waitFor();
    // And beside the text editor, as any other editor of the file.
    await lab().openFile('asked.jsonl');
    await lab().page.locator('.monaco-editor .view-line').first().waitFor();
    await lab().command('View: Reopen Editor With...');
    await lab().pick('SFT Data Set Preview');
    await shown('asked.jsonl');
    await lab().command('View: Close Editor');
  });

  it('tells when the file changes on disk, and reads it again when it is asked to', async () => {
    // As often as this is tried.
    writeFileSync(lab().path('grows.jsonl'), grown);
    const frame = await preview('grows.jsonl');
    await frame.getByText('2 records').waitFor();
    appendFileSync(lab().path('grows.jsonl'), '{"prompt":"new","completion":"row"}\n');
    await frame
      .locator('.notice')
      .getByText(/changed on disk/)
      .waitFor();
    await button(frame, 'Read again').click();
    await frame.getByText('3 records').waitFor();
    rmSync(lab().path('grows.jsonl'));
    await frame
      .locator('.notice')
      .getByText(/changed on disk/)
      .waitFor();
    await button(frame, 'Read again').click();
    await frame
      .locator('.notice.failed')
      .getByText(/cannot be opened/)
      .waitFor();
  });

  it('shows conversations, tokens and raw records, and masks at once', async () => {
    // What an earlier try chose.
    await lab().command('View: Close All Editors');
    const frame = await preview('tickets.train.jsonl');
    await frame.locator('.message.assistant').first().waitFor();
    await frame.getByText('3,000 records').waitFor();
    await frame.locator('.overview progress').waitFor({ state: 'hidden', timeout: 60_000 });
    await lab().shoot('preview-chat', sideBarAway);
    await button(frame, 'Raw').click();
    await frame.locator('pre.raw').first().waitFor();
    await button(frame, 'Tokens').click();
    const first = frame.locator('.row').first();
    await first.locator('.token.loss').first().waitFor();
    expect((await first.locator('.token.loss').allTextContents()).join('')).toBe('shipping<|im_end|>');
    await lab().shoot('preview-tokens', sideBarAway);
    await button(frame, 'All').click();
    await expect.poll(() => first.locator('.token.loss').count()).toBeGreaterThan(20);
    await frame.locator('input.length').fill('20');
    await first.locator('.cut-mark').waitFor();
    expect(await first.locator('.token:not(.cut)').count()).toBe(20);
    await first.locator('.token').nth(4).hover();
    await frame
      .locator('.tip')
      .getByText(/^id \d+$/)
      .waitFor();
    await frame.locator('.problems').getByText('Cut off by max_length').waitFor();
    await lab().shootOnce('preview-cut');
    await button(frame, 'Completion').click();
  });

  it('shows roles and turns, with the reasoning folded until it is asked for', async () => {
    const messages = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Is 7 a prime?' },
      { role: 'assistant', reasoning_content: 'Nothing between 1 and 7 divides it.', content: 'Yes.' },
      { role: 'user', content: 'And 9?' },
      { role: 'assistant', content: 'No: 3 times 3.' },
    ];
    writeFileSync(lab().path('reasoned.jsonl'), `${JSON.stringify({ messages })}\n`);
    const frame = await preview('reasoned.jsonl');
    await frame.locator('.message.assistant').nth(1).waitFor();
    expect(await frame.locator('.message .role').allTextContents()).toEqual([
      ...['System', 'User', 'Assistant', 'User', 'Assistant'],
    ]);
    const reasoning = frame.locator('.message.assistant').first().getByText('Nothing between 1 and 7');
    expect(await reasoning.isVisible()).toBe(false);
    await frame.getByText('Reasoning · 35 characters').click();
    await reasoning.waitFor();
    await lab().shootOnce('preview-reasoning');
  });

  it('takes the tokenizer and the template that are chosen', async () => {
    const frame = await preview('tickets.train.jsonl');
    const [model, template] = [
      frame.getByLabel('Model', { exact: true }),
      frame.getByLabel('Template', { exact: true }),
    ];
    const choose = async (name: string): Promise<void> => {
      const option = model.locator('option').filter({ hasText: name }).first();
      await model.selectOption((await option.getAttribute('value')) ?? '');
    };
    // What an earlier test or try chose.
    await frame.locator('input.length').fill('512');
    await choose('Starter');
    await template.selectOption('own');
    await button(frame, 'Tokens').click();
    await button(frame, 'Completion').click();
    const first = frame.locator('.row').first();
    const trained = async (): Promise<string> => (await first.locator('.token.loss').allTextContents()).join('');
    await expect.poll(trained).toBe('shipping<|im_end|>');
    await choose('llama3');
    await expect.poll(trained).toBe('shipping<|eot_id|>');
    expect(await first.textContent()).toContain('<|start_header_id|>');
    await frame.getByText('3,000 records').waitFor();

    await template.selectOption('file');
    const input = lab().page.locator('.quick-input-widget input[type="text"]');
    await input.waitFor({ timeout: 30_000 });
    await lab().answer(lab().path('plain.jinja'));
    await expect.poll(() => template.locator('option:checked').textContent()).toBe('plain.jinja');
    await expect.poll(() => first.textContent()).toContain('[user]');
    await expect.poll(trained).toContain('shipping');
    await lab().shootOnce('preview-template');
    await template.selectOption('own');
    await expect.poll(trained).toBe('shipping<|eot_id|>');
    await choose('Starter');
    await expect.poll(trained).toBe('shipping<|im_end|>');
  });

  it('filters by a bar of the lengths and by a label, and sorts by length', async () => {
    const frame = await preview('tickets.train.jsonl');
    await button(frame, 'Chat').click();
    await frame.locator('.overview progress').waitFor({ state: 'hidden', timeout: 60_000 });
    const canvas = frame.locator('.histogram canvas').first();
    const box = await canvas.boundingBox();
    await canvas.click({ position: { x: (box?.width ?? 0) * 0.4, y: (box?.height ?? 0) * 0.75 } });
    await frame
      .locator('.status')
      .getByText(/^[\d,]+ records of 3,000$/)
      .waitFor();
    expect(await frame.getByLabel('Shortest length').inputValue()).not.toBe('');
    await button(frame, 'Show all').click();
    await frame.locator('.labels .entry').filter({ hasText: 'shipping' }).click();
    await frame.locator('.status').getByText('675 records of 3,000').waitFor();
    await button(frame, 'Show all').click();
    await frame.getByLabel('Order').selectOption('longest');
    const longest = await frame.locator('.tile').filter({ hasText: 'Longest' }).locator('strong').textContent();
    await frame.locator('.row .facts').first().getByText(`${longest} tokens`).waitFor();
    await button(frame, 'Show all').click();
  });

  it('reads the fields that a person names, and keeps them for Fine-tune', async () => {
    // What an earlier try kept.
    rmSync(lab().path('.sft', 'datasets.json'), { force: true });
    await lab().command('View: Close All Editors');
    const frame = await preview('asked.jsonl');
    await frame
      .locator('.row.bad')
      .getByText(/no known format/)
      .waitFor();
    await button(frame, 'Fields…').click();
    await frame.getByLabel('Format', { exact: true }).selectOption('custom');
    await frame.getByLabel('Prompt', { exact: true }).selectOption('ask');
    await frame.getByLabel('Completion', { exact: true }).selectOption('say');
    await frame.locator('.message.assistant').getByText('So.').waitFor();
    const kept = lab().path('.sft/datasets.json');
    await expect
      .poll(() => (existsSync(kept) ? JSON.parse(readFileSync(kept, 'utf8')) : undefined))
      .toEqual({ 'asked.jsonl': { format: 'custom', fields: { prompt: 'ask', completion: 'say' } } });
  });

  it('finds, filters and saves as a new data set', async () => {
    const frame = await preview('bad.jsonl');
    await frame.getByText('60 records').waitFor();
    await frame.getByLabel('Find in records').fill('QUESTION 1');
    await frame.getByText('11 records of 60').waitFor();
    await lab().shootOnce('preview-find');
    rmSync(lab().path('ones.jsonl'), { force: true });
    await button(frame, 'Save view…').click();
    await saveAs('bad.filtered.jsonl', 'ones.jsonl');
    await expect.poll(() => existsSync(lab().path('ones.jsonl')), { timeout: 20_000 }).toBe(true);
    const bad = readFileSync(lab().path('bad.jsonl'), 'utf8').split('\n');
    const ones = bad.filter((line) => line.includes('question 1'));
    expect(readFileSync(lab().path('ones.jsonl'), 'utf8').trim().split('\n')).toEqual(ones);
    await button(frame, 'Use a regular expression').click();
    await frame.getByLabel('Find in records').fill('question (');
    await frame.getByText(/Not a regular expression/).waitFor();
    await button(frame, 'Show all').click();
    await frame.getByText('60 records').waitFor();
  });

  it('trains on the view: what is seen becomes a data set, and the form opens on it', async () => {
    const frame = await preview('bad.jsonl');
    await frame.getByLabel('Find in records').fill('question 2');
    await frame.getByText('11 records of 60').waitFor();
    rmSync(lab().path('twos.jsonl'), { force: true });
    await button(frame, 'Fine-tune…').click();
    await saveAs('bad.filtered.jsonl', 'twos.jsonl');
    const form = await lab().webview('Fine-tune twos.jsonl');
    await form.getByRole('button', { name: 'Start', exact: true }).waitFor();
    const lines = readFileSync(lab().path('twos.jsonl'), 'utf8').trim().split('\n');
    expect(lines).toHaveLength(11);
    expect(lines[0]).toBe(readFileSync(lab().path('bad.jsonl'), 'utf8').split('\n')[2]);
  });

  it('lists problems, each a click from its rows, and shows hostile text as text', async () => {
    const frame = await preview('bad.jsonl');
    const all = button(frame, 'Show all');
    if (await all.isVisible()) await all.click();
    const problems = frame.locator('.problems .entry');
    await problems.filter({ hasText: 'Exact duplicates' }).waitFor();
    await problems.filter({ hasText: 'Malformed records' }).click();
    await frame
      .locator('.row.bad')
      .getByText(/not valid JSON/)
      .waitFor();
    await problems.filter({ hasText: 'Empty completions' }).click();
    await frame.locator('.message.user').getByText('<script>alert(1)</script>').waitFor();
    await frame.locator('.unseen').filter({ hasText: 'RLO' }).waitFor();
    await lab().shoot('preview-problems', sideBarAway);
    await frame.locator('.schema').scrollIntoViewIfNeeded();
    await frame
      .locator('.schema-field')
      .filter({ hasText: /prompt\s*text/ })
      .waitFor();
    await lab().shootOnce('preview-fields');
    // Where there is no room beside the rows, the overview takes their place.
    await lab().page.setViewportSize({ width: 700, height: 900 });
    await sideBarAway(lab().page);
    await button(frame, 'Overview').click();
    await frame.locator('.tiles .tile').first().waitFor();
    await lab().shootOnce('preview-overview-narrow');
    await button(frame, 'Overview').click();
    await lab().page.setViewportSize({ width: 1400, height: 900 });
    await sideBarAway(lab().page);
    await button(frame, 'Show all').click();
  });

  it('scrolls a million rows, and jumps to any', async () => {
    const frame = await preview('million.jsonl');
    await frame.getByText('1,000,000 records').waitFor();
    // As text: it runs in the page, whose types are not ours. Blank: nothing but rows that have not come yet.
    const worst: unknown = await frame.evaluate(`(async () => {
      const rows = document.querySelector('.rows');
      const bar = document.querySelector('.bar');
      let worst = 0;
      let where = 0;
      let frame = 0;
      let last = performance.now();
      let since = 0;
      for (let i = 0; i < 300; i++) {
        if (i < 150) rows.dispatchEvent(new WheelEvent('wheel', { deltaY: 250, bubbles: true, cancelable: true }));
        else if (i % 10 === 0) bar.scrollTop = (bar.scrollHeight * (i - 149)) / 152;
        await new Promise(requestAnimationFrame);
        const box = rows.getBoundingClientRect();
        const seen = [...rows.querySelectorAll('.row')].filter((row) => {
          const place = row.getBoundingClientRect();
          return place.bottom > box.top && place.top < box.bottom;
        });
        const now = performance.now();
        if (seen.some((row) => !row.classList.contains('waiting'))) since = 0;
        else since ||= now;
        frame = Math.max(frame, now - last);
        last = now;
        if (since === 0 || now - since <= worst) continue;
        worst = now - since;
        where = i;
      }
      return Math.round(worst) + ' ms, at step ' + where + '; longest frame ' + Math.round(frame) + ' ms';
    })()`);
    // A figure, no verdict: machines that run tests are busy.
    console.log(`longest blank while scrolling: ${String(worst)}`);
    await frame.getByLabel('Go to row').fill('777777');
    await frame.getByLabel('Go to row').press('Enter');
    await frame.locator('.message.user').getByText('p777776', { exact: true }).waitFor();
  });
});

describe('the text editor', () => {
  it('marks the lines of data sets, and of nothing else', async () => {
    await lab().openFile('raw.jsonl');
    await lab().page.locator('.codelens-decoration').getByText('Preview').waitFor();
    await lab().command('Problems: Focus on Problems View');
    await lab()
      .page.locator('.markers-panel')
      .getByText(/not valid JSON/)
      .waitFor();
    for (const problem of [/is the same as row 9/, /^row 9/, /the answer of turn 2 is empty/, /turns the direction/]) {
      await lab().page.locator('.markers-panel').getByText(problem).waitFor();
    }
    await lab().page.locator('.view-line').getByText('question 2').first().click();
    await lab().command('Show or Focus Hover');
    await lab()
      .page.locator('.monaco-hover')
      .getByText(/\d+\stokens,\s\d+\strained/)
      .first()
      .waitFor();
    await lab().shootOnce('preview-raw-editor');
    await lab().openFile('other.jsonl');
    await expect.poll(() => lab().page.locator('.codelens-decoration').getByText('Preview').count()).toBe(0);
  });
});

/** Reading a chart as a person does: the pointer is moved along it, and what the box beside the pointer says is noted. */

import type { Frame, Page } from 'playwright-core';

/**
 * Of each step that the chart of a single run shows: its unsmoothed training value, as it is written there.
 *
 * @param steps how many there may be: the pointer stops several times at each
 */
export async function readCurve(page: Page, panel: Frame, chart: string, steps: number): Promise<Map<number, string>> {
  const frame = panel.locator(`.chart-frame[data-chart="${chart}"]`);
  await frame.scrollIntoViewIfNeeded();
  const box = await frame.boundingBox();
  if (box === null) throw new Error(`${chart} is not on the screen`);
  const found = new Map<number, string>();
  const stride = Math.max(0.25, box.width / steps / 4);
  for (let x = box.x + 1; x < box.x + box.width; x += stride) {
    await page.mouse.move(x, box.y + box.height / 2);
    const [step, value] = await reading(panel);
    if (step !== undefined && value !== undefined) found.set(step, value);
  }
  return found;
}

async function reading(panel: Frame): Promise<[number | undefined, string | undefined]> {
  // As text: it runs in the page, whose types are not ours. The box follows in the next frame.
  const said: unknown =
    await panel.evaluate(`new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
    const box = document.querySelector('.readout');
    const place = box.hidden ? '' : box.querySelector('.readout-place')?.textContent ?? '';
    const names = [...box.querySelectorAll('.readout-name')].map((one) => one.textContent);
    const raw = [...box.querySelectorAll('.readout-raw')][names.indexOf('train')]?.textContent ?? '';
    done([place, raw]);
  })))`);
  const [place, raw] = Array.isArray(said) ? said.map(String) : [];
  const step = /^step ([\d,]+)$/.exec(place ?? '')?.[1];
  return [step === undefined ? undefined : Number(step.replaceAll(',', '')), raw === '' ? undefined : raw];
}

import { expect, it } from 'vitest';
import { useLab } from './harness/lab.js';

const lab = useLab();

it('shows its sidebar', async () => {
  await lab().showView('SFT Lab');
  await lab().page.locator('.sidebar .composite.title').filter({ hasText: 'SFT Lab' }).waitFor();
  expect(await lab().page.locator('.sidebar .composite.title').textContent()).toContain('Experiments');
  await lab().shoot('sidebar-empty');
});

/** A context menu as a person uses it: opened on one row, looked at, and answered by the keyboard. */

import type { Locator, Page } from 'playwright-core';

/** What one try may take; the caller tries again. */
const patience = 3000;

/**
 * Right-clicks and chooses, once. Rejects when the menu is not of this target, lacks the entry, or closes before the entry has the
 * focus: then nothing was chosen.
 */
export async function chooseFromMenu(page: Page, target: Locator, entry: string): Promise<void> {
  const menu = page.locator('.context-view .monaco-menu');
  // A menu that an earlier try left open would take the click.
  if ((await menu.count()) > 0) await page.keyboard.press('Escape');
  await menu.waitFor({ state: 'detached', timeout: patience });
  await target.waitFor({ timeout: patience });
  await target.click({ button: 'right', timeout: patience });
  await menu.first().waitFor({ timeout: patience });
  // A list puts its focus on the row whose menu it opens: a row drawn elsewhere meanwhile has not got it.
  const row = target
    .locator('xpath=ancestor-or-self::*[contains(concat(" ", @class, " "), " monaco-list-row ")]')
    .first();
  if ((await row.count()) > 0 && !(await classes(row)).includes('focused')) {
    throw new Error('the menu is of another row');
  }
  // The name of an entry with a key has the key behind it.
  const name = new RegExp(`^${entry.replace(/[^\w ]/g, '\\$&')}\\s*(F\\d+|Delete)?$`);
  const item = page.getByRole('menuitem', { name }).first();
  await item.waitFor({ timeout: patience });
  // Under the pointer it has the focus. Menus take no click in their first tenth of a second; the keyboard they take.
  await item.hover({ timeout: patience });
  await item.press('Enter', { timeout: patience });
  await item.waitFor({ state: 'hidden', timeout: patience });
}

async function classes(locator: Locator): Promise<string[]> {
  return ((await locator.getAttribute('class', { timeout: patience })) ?? '').split(/\s+/);
}

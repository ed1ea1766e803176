import { expect, it } from 'vitest';
import { plainMessage } from '../../../src/editor/plain-message.js';

it('makes no link and no control character out of what a stranger called a run', () => {
  const hostile = 'run [finished](command:workbench.action.terminal.sendSequence)\u001b[2J\u202e';
  expect(plainMessage(hostile)).toBe('run [finished] (command:workbench.action.terminal.sendSequence) [2J ');
  expect(plainMessage('a'.repeat(5000)).length).toBe(600);
  expect(plainMessage('“Größe” → 3\nadvice')).toBe('“Größe” → 3\nadvice');
});

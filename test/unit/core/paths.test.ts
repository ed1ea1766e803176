import { join } from 'node:path';
import { expect, it } from 'vitest';
import { labelOf } from '../../../src/core/experiment.js';
import { editorPath, portablePath } from '../../../src/core/paths.js';

it('paths in files have slashes', () => {
  expect(portablePath(join('checkpoints', 'step-000001'))).toBe('checkpoints/step-000001');
});

it('drives are written as VS Code does', () => {
  expect(['C:\\a\\B', 'D:/a', 'c:\\a', '/C:/a', 'C:'].map(editorPath)).toEqual([
    'c:\\a\\B',
    'd:/a',
    'c:\\a',
    '/C:/a',
    'C:',
  ]);
});

it('labels give the last part of a path of any system', () => {
  const label = (path: string) => labelOf({ model_name_or_path: path });
  expect(label('/models/tiny/')).toBe('model_name_or_path=tiny');
  expect(label('C:\\models\\tiny')).toBe('model_name_or_path=tiny');
  expect(label('a\\nb')).toBe('model_name_or_path=a\\nb');
});

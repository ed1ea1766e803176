/**
 * Writes the import order of the folders into biome.json's overrides: each folder may import itself and what stands beside
 * it here, nothing else of ours, and `vscode` belongs to the editor alone. `--check` only compares.
 */

import { readFileSync, writeFileSync } from 'node:fs';

const mayImport = {
  core: [],
  data: ['core'],
  engine: ['core'],
  runs: ['core'],
  train: ['core', 'data', 'engine', 'runs'],
  launch: ['core', 'runs'],
  infer: ['core', 'data'],
  cli: ['core', 'data', 'engine', 'runs', 'train', 'launch', 'infer'],
  editor: ['core', 'data', 'runs', 'launch', 'infer'],
};

const wholeZod =
  'As `import * as z`: its name `z` drags all of its languages into every bundle, 550 KB to be parsed at each start.';

const folders = Object.keys(mayImport);

const overrides = folders.map((folder) => {
  const forbidden = folders.filter((other) => other !== folder && !mayImport[folder].includes(other));
  const patterns = [];
  if (forbidden.length > 0) {
    patterns.push({
      group: forbidden.flatMap((other) => [`../${other}/**`, `../../${other}/**`, `../../../${other}/**`]),
      message: `src/${folder} may import ${mayImport[folder].map((name) => `src/${name}`).join(', ') || 'nothing else of ours'}.`,
    });
  }
  const options = { patterns, paths: { zod: { importNames: ['z'], message: wholeZod } } };
  if (folder !== 'editor') options.paths.vscode = 'Only src/editor and src/extension.ts import vscode.';
  return {
    includes: [`src/${folder}/**`],
    linter: { rules: { style: { noRestrictedImports: { level: 'error', options } } } },
  };
});

const file = new URL('../biome.json', import.meta.url);
const text = readFileSync(file, 'utf8');
const config = JSON.parse(text);
if (process.argv.includes('--check')) {
  if (JSON.stringify(config.overrides) !== JSON.stringify(overrides)) {
    console.error('biome.json does not hold the import order of scripts/import-rules.mjs: run it');
    process.exitCode = 1;
  }
} else {
  config.overrides = overrides;
  writeFileSync(file, `${JSON.stringify(config, null, 2)}\n`);
}

/** THIRD-PARTY-NOTICES.txt: whose work is in the package, with the licence of each. */

import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from '../suites.mjs';
import { debianLicence, licenceOf } from './libraries.mjs';

const rule = `\n${'-'.repeat(100)}\n`;

/** An npm package: its name and version, and the text of its licence, or the name where it carries no text. */
function npmLicence(name) {
  const folder = join(root, 'node_modules', name);
  const { version, license, author, repository } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const files = readdirSync(folder).filter((file) => /^(licen[cs]e|copying|notice|thirdparty)/i.test(file));
  const by = typeof author === 'object' ? author?.name : author;
  const text =
    files.length > 0
      ? files.map((file) => readFileSync(join(folder, file), 'utf8').trim()).join('\n\n')
      : `Licence: ${license}${by === undefined ? '' : `\nBy: ${by}`}\nFrom: ${repository?.url ?? name}`;
  if (files.length === 0 && license === undefined) throw new Error(`${name} names no licence.`);
  return { title: `${name} ${version} (npm)`, text };
}

/** What is compiled into the engine itself. */
function compiledIn(libraries, withCuda) {
  const parts = [npmLicence('node-addon-api'), npmLicence('node-api-headers')];
  // Beside the libraries where they come from one place, as Homebrew's and MSYS2's do.
  const places = [
    ...libraries.map(({ path }) => join(dirname(path), '..', 'include')),
    '/opt/homebrew/include',
    '/usr/include',
  ];
  const header = places.map((place) => join(place, 'nlohmann', 'json.hpp')).find((file) => existsSync(file));
  if (header !== undefined) parts.push(licenceOf({ name: 'nlohmann/json.hpp', path: realpathSync(header) }));
  const gcc =
    process.platform === 'linux' && existsSync('/usr/share/doc')
      ? readdirSync('/usr/share/doc').find((name) => /^gcc-\d+-base$/.test(name))
      : undefined;
  if (gcc !== undefined) parts.push(debianLicence(gcc));
  if (withCuda) {
    parts.push({
      title: 'NVIDIA CUDA Runtime, static library',
      text: 'This software contains source code provided by NVIDIA Corporation. It is distributed under the NVIDIA Software License\nAgreement and CUDA Supplement, https://docs.nvidia.com/cuda/eula/, whose attachment A lists it as redistributable.',
    });
  }
  return parts;
}

/** @param bundled names of the npm packages in the bundles and beside them */
export function notices({ bundled, libraries, withCuda }) {
  const parts = [...bundled.map(npmLicence), ...libraries.map(licenceOf), ...compiledIn(libraries, withCuda)];
  const unique = [...new Map(parts.map((part) => [part.title, part])).values()];
  const head = `SFT Lab contains work of others, under the licences below:\n\n${unique.map(({ title }) => `- ${title}`).join('\n')}\n`;
  return `${head}${unique.map(({ title, text }) => `${rule}${title}${rule}\n${text.trim()}\n`).join('')}`;
}

/** `sft-lab schema`: the JSON Schema of `*.sft.json` files, for editors. */

import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { configJsonSchema } from '../../core/config.js';
import { writeError } from '../../runs/files.js';

export function addSchema(program: Command): void {
  program
    .command('schema')
    .description('Prints the JSON Schema of config files.')
    .option('-o, --output <file>', 'write it to a file')
    .action(async (flags: { output?: string }) => {
      const text = `${JSON.stringify(configJsonSchema(), null, 2)}\n`;
      if (flags.output === undefined) {
        process.stdout.write(text);
        return;
      }
      try {
        await writeFile(flags.output, text);
      } catch (error) {
        throw writeError(error, flags.output);
      }
    });
}

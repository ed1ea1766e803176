/** `sft-lab devices`: what this machine can train on. */

import type { Command } from 'commander';
import { formatBytes } from '../../core/units.js';
import { devices, withoutCuda } from '../../engine/index.js';
import { exitCode } from '../failure.js';

export function addDevices(program: Command): void {
  program
    .command('devices')
    .description('Lists what this machine can train on.')
    .option('--json', 'print a JSON array')
    .option('--quiet', 'print ids only')
    .action(async (flags: { json?: boolean; quiet?: boolean }) => {
      const found = await devices();
      if (flags.json === true) {
        process.stdout.write(`${JSON.stringify(found, null, 2)}\n`);
      } else {
        for (const { id, name, memory, free, cores, features, driver, driverVersion, capability } of found) {
          const facts = [
            name,
            formatBytes(memory),
            ...(free === undefined ? [] : [`${formatBytes(free)} free`]),
            ...(cores === undefined ? [] : [`${cores} cores`]),
            ...(features ?? []),
            ...(capability === undefined ? [] : [`compute capability ${capability}`]),
            ...(driver === undefined
              ? []
              : [`driver ${driverVersion === undefined ? '' : `${driverVersion} `}for CUDA ${driver}`]),
          ];
          process.stdout.write(flags.quiet === true ? `${id}\n` : `${id.padEnd(8)}${facts.join(', ')}\n`);
        }
        const missing = withoutCuda();
        if (flags.quiet !== true && missing !== undefined) {
          const advice = missing.advice === undefined ? '' : `        ${missing.advice}\n`;
          process.stdout.write(`cuda    not available: ${missing.reason}\n${advice}`);
        }
      }
      process.exitCode = exitCode.ok;
    });
}

import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // Two at a time: the engine's threads want the cores too.
    maxWorkers: 2,
    setupFiles: ['test/setup/properties.ts'],
    projects: [
      { extends: true, test: { name: 'unit', include: ['test/unit/**/*.test.ts'], testTimeout: 30_000 } },
      {
        extends: true,
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});

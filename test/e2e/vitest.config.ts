import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/e2e/**/*.test.ts'],
    // One editor and one browser at a time: they want the cores.
    fileParallelism: false,
    // A browser on a busy machine may lose a click; what fails three times is broken.
    retry: 2,
    // The standard second is short for a browser and an editor on two busy cores.
    expect: { poll: { timeout: 15_000, interval: 100 } },
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});

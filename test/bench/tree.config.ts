import { defineConfig } from 'vitest/config';

/** The sidebar's figures (`npm run bench:tree`): taken as tests are run, but not with them. */
export default defineConfig({
  test: {
    include: ['test/bench/measure-tree.ts'],
    expect: { poll: { timeout: 60_000, interval: 50 } },
    testTimeout: 300_000,
    hookTimeout: 120_000,
  },
});

import { defineConfig } from 'vitest/config';

/** The README's pictures (`npm run screenshots`): made as tests are run, but not with them. */
export default defineConfig({
  test: {
    include: ['test/e2e/pictures.ts'],
    expect: { poll: { timeout: 30_000, interval: 100 } },
    testTimeout: 180_000,
    hookTimeout: 120_000,
  },
});

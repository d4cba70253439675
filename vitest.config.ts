import { defineConfig } from "vitest/config";

const shared = {
  sequence: { shuffle: true },
  passWithNoTests: false,
  // What is waited for comes, or never: the machine may be busy.
  expect: { poll: { timeout: 100_000 } },
} as const;

export default defineConfig({
  resolve: { conditions: ["flotilla-source"] },
  ssr: { resolve: { conditions: ["flotilla-source"] } },
  test: {
    projects: [
      {
        extends: true,
        test: {
          ...shared,
          name: "unit",
          include: [
            "{core,documents,optimizer,scheduler,pool,providers,sandbox,server,sdk,simulations,scripts,benchmarks,examples}/**/*.test.ts",
          ],
          exclude: ["**/node_modules/**", "**/dist/**", "**/*.real.test.ts"],
          // Only what hangs is ended: the tests share the machine with the other checks.
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          ...shared,
          name: "real",
          include: ["tests/**/*.test.ts", "**/*.real.test.ts"],
          exclude: ["**/node_modules/**", "**/dist/**"],
          testTimeout: 300_000,
          hookTimeout: 120_000,
          // Each file has a platform of its own; a third would only take the others' processor.
          maxWorkers: 2,
        },
      },
    ],
  },
});

import eslint from "@eslint/js";
import tseslint from "typescript-eslint";

/** Folders whose code decides: no clock, no chance, no IO of their own. */
const DECIDING = ["core", "documents", "optimizer", "scheduler", "pool", "simulations"];

const impureGlobals = ["fetch", "process", "setTimeout", "setInterval", "setImmediate"].map(
  (name) => ({ name, message: "Deciding code takes time, chance and IO from outside." }),
);

const impureMembers = [
  ["Date", "now"],
  ["Math", "random"],
  ["performance", "now"],
].map(([object, property]) => ({ object, property, message: "Use Clock or Rng." }));

export default tseslint.config(
  {
    ignores: ["**/node_modules/**", "**/dist/**", "**/*.mjs", "**/*.cjs", "eslint.config.js"],
  },
  eslint.configs.recommended,
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      complexity: ["error", 12],
      eqeqeq: "error",
      "max-lines": ["error", { max: 400, skipBlankLines: true, skipComments: true }],
      "max-lines-per-function": ["error", { max: 70, skipBlankLines: true, skipComments: true }],
      "no-console": "error",
      "no-restricted-exports": ["error", { restrictDefaultExports: { direct: true } }],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/switch-exhaustiveness-check": [
        "error",
        { considerDefaultExhaustiveForUnions: true },
      ],
    },
  },
  {
    files: DECIDING.map((folder) => `${folder}/**/*.ts`),
    ignores: ["**/*.test.ts", "simulations/run.ts"],
    rules: {
      "no-restricted-globals": ["error", ...impureGlobals],
      "no-restricted-properties": ["error", ...impureMembers],
      "no-restricted-imports": ["error", { patterns: ["node:*"] }],
      "no-restricted-syntax": [
        "error",
        {
          selector: "NewExpression[callee.name='Date'][arguments.length=0]",
          message: "Use Clock.",
        },
      ],
    },
  },
  {
    files: ["**/*.test.ts", "tests/**/*.ts"],
    rules: {
      "max-lines-per-function": "off",
      "@typescript-eslint/no-non-null-assertion": "off",
      "@typescript-eslint/require-await": "off",
    },
  },
  {
    files: ["vitest.config.ts"],
    rules: { "no-restricted-exports": "off" },
  },
  {
    files: [
      "sdk/commands/**/*.ts",
      "server/commands/**/*.ts",
      "scripts/**/*.ts",
      "benchmarks/**/*.ts",
      "examples/**/*.ts",
      "tests/fixtures/**/*.ts",
    ],
    rules: { "no-console": "off" },
  },
);

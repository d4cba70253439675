import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { didYouMean } from "./did-you-mean.ts";
import { UsageError } from "./errors.ts";
import type { WrittenSpec } from "./written-spec.ts";
import { validateAppName, validateSpec } from "./validate-spec.ts";

const check = (spec: unknown, message: string | RegExp): void => {
  expect(() => validateSpec(spec as WrittenSpec)).toThrow(message);
  expect(() => validateSpec(spec as WrittenSpec)).toThrow(UsageError);
};

describe("a spec", () => {
  test("with everything in range is accepted", () => {
    validateSpec({});
    validateSpec({
      name: "square",
      gpu: ["H100:2", "A100-80GB:2"],
      cpu: 0.1,
      memoryMiB: 64,
      timeoutMs: 86_400_000,
      startupTimeoutMs: 1_000,
      retries: { count: 10, initialDelayMs: 0, backoff: 1, maxDelayMs: 60_000 },
      scaledownWindowMs: 2_000,
      minContainers: 0,
      maxContainers: 4_000,
      bufferContainers: 0,
      maxConcurrentInputs: 1_000,
      targetConcurrentInputs: 800,
      singleUse: false,
      regions: ["us-east-1"],
      clouds: ["aws"],
      preemptible: false,
      enableMemorySnapshot: true,
      priority: -100,
      network: { egress: "none" },
      env: { KEY: "value" },
    });
  });

  test("may say what is reserved and what may be used apart from each other", () => {
    validateSpec({ cpu: { request: 0.1, limit: 64 }, memoryMiB: { request: 64, limit: 64 } });
    validateSpec({ cpu: 1, memoryMiB: { request: 64, limit: 524_288 } });
  });

  const wrong: readonly [unknown, string | RegExp][] = [
    [{ gpu: "H10O" }, 'gpu is wrong: no GPU type "H10O": did you mean "H100"?'],
    [{ gpu: "h100" }, 'no GPU type "h100": did you mean "H100"?'],
    [{ gpu: "quantum" }, /no GPU type "quantum"; there are T4, L4,/],
    [{ gpu: "H100:9" }, 'gpu "H100:9" must ask for 1 to 8 GPUs, such as "H100:8"'],
    [{ gpu: "H100:0" }, /1 to 8 GPUs/],
    [{ gpu: "H100:" }, /1 to 8 GPUs/],
    [{ gpu: 8 }, 'gpu must be a GPU type such as "H100", or "H100:8" for eight, got 8'],
    [{ gpu: [] }, /at least one GPU type/],
    [{ gpu: ["H100", "A100-80GB:2"] }, /the same number of GPUs/],
    [{ gpu: ["H100", "H100"] }, /names one GPU type twice/],
    [{ gpus: "H100" }, 'a function has no option "gpus": did you mean "gpu"?'],
    [{ toString: 1 }, 'a function has no option "toString"'],
    [{ cpu: 65 }, "cpu must be 0.1 to 64 cores, got 65"],
    [{ cpu: NaN }, "cpu must be 0.1 to 64 cores, got NaN"],
    [{ memoryMiB: 63 }, "memoryMiB must be a whole number from 64 to 524288 MiB, got 63"],
    [{ memoryMiB: 64.5 }, /memoryMiB must be a whole number/],
    [{ memoryMiB: { request: 64 } }, "memoryMiB needs request and limit, and has no limit"],
    [{ memoryMiB: { limit: 64 } }, "memoryMiB needs request and limit, and has no request"],
    [{ memoryMiB: { request: 128, limit: 64 } }, ".limit (64) must not be below .request (128)"],
    [{ memoryMiB: { request: 64, limit: 64.5 } }, /memoryMiB \.limit must be a whole number/],
    [{ cpu: { request: 0, limit: 1 } }, "cpu .request must be 0.1 to 64 cores, got 0"],
    [{ cpu: { request: 1, limit: NaN } }, "cpu .limit must be 0.1 to 64 cores, got NaN"],
    [{ cpu: { request: 1, limit: 2, max: 3 } }, 'cpu has no "max"; there are request and limit'],
    [{ cpu: [1, 2] }, 'cpu has no "0"'],
    [{ cpu: null }, "cpu must be 0.1 to 64 cores, got null"],
    [{ timeoutMs: 999 }, /timeoutMs must be a whole number from 1000 to 86400000 ms/],
    [{ scaledownWindowMs: 1 }, /scaledownWindowMs .* 2000 to 1200000/],
    [{ retries: 11 }, "retries must be a whole number from 0 to 10 tries, got 11"],
    [{ retries: {} }, "retries must have a count, such as { count: 3 }"],
    [{ retries: { count: 1, delay: 5 } }, 'retries has no "delay"'],
    [{ retries: { count: 1, backoff: 0.5 } }, "retries .backoff must be 1 to 10 times"],
    [{ retries: { count: 1, maxDelayMs: 1 } }, /retries \.maxDelayMs must be a whole number/],
    [{ maxContainers: 0 }, /maxContainers .* 1 to 4000/],
    [{ minContainers: 5, maxContainers: 4 }, /minContainers \(5\).*maxContainers \(4\)/],
    [{ maxConcurrentInputs: 0 }, /maxConcurrentInputs .* 1 to 1000 inputs, got 0/],
    [{ maxConcurrentInputs: 1_001 }, /maxConcurrentInputs .* 1 to 1000/],
    [{ maxConcurrentInputs: 2, targetConcurrentInputs: 3 }, /Inputs \(3\).*Inputs \(2\)/],
    [{ targetConcurrentInputs: 2 }, /targetConcurrentInputs \(2\).*maxConcurrentInputs \(1\)/],
    [{ batched: 8 }, "batched must be an object, such as { maxBatchSize: 8, waitMs: 50 }"],
    [{ batched: { maxBatchSize: 0, waitMs: 1 } }, /batched \.maxBatchSize must be .* 1 to 1000/],
    [{ batched: { maxBatchSize: 8 } }, /batched \.waitMs must be .* got undefined/],
    [{ batched: { maxBatchSize: 8, waitMs: 600_001 } }, /batched \.waitMs .* 0 to 600000/],
    [{ batched: { maxBatchSize: 8, waitMS: 1 } }, /batched has no "waitMS"/],
    [
      { batched: { maxBatchSize: 8, waitMs: 5_000 }, timeoutMs: 5_000 },
      /waitMs \(5000\) must be below timeoutMs \(5000\)/,
    ],
    [
      { batched: { maxBatchSize: 8, waitMs: 1 }, maxConcurrentInputs: 8 },
      /batched does not go with maxConcurrentInputs/,
    ],
    [
      { batched: { maxBatchSize: 8, waitMs: 1 }, schedule: { kind: "period", periodMs: 1_000 } },
      /a batched function has no schedule/,
    ],
    [{ diskMiB: 8 }, /diskMiB must be .*16/],
    [{ diskMiB: 64, enableMemorySnapshot: true }, /diskMiB does not go with enableMemorySnapshot/],
    [{ singleUse: "yes" }, "singleUse must be true or false"],
    [{ singleUse: true, maxConcurrentInputs: 2 }, /singleUse does not go with maxConcurrentInputs/],
    [
      { singleUse: true, batched: { maxBatchSize: 1, waitMs: 1 } },
      /singleUse does not go with batched/,
    ],
    [{ regions: [] }, /regions must be a list/],
    [{ regions: ["US East"] }, /regions has "US East"/],
    [{ clouds: ["awss"] }, /clouds has "awss".*did you mean "aws"\?/],
    [{ preemptible: 1 }, "preemptible must be true or false"],
    [{ enableMemorySnapshot: "yes" }, "enableMemorySnapshot must be true or false"],
    [{ priority: 101 }, /priority must be a whole number from -100 to 100 \(larger is more/],
    [{ priority: "high" }, /priority must be a whole number .*got "high"/],
    [{ network: { egress: "all" } }, "network must be { block: true } or { allowHosts:"],
    [{ network: { allowHosts: "a.com" } }, "network must be { block: true }"],
    [{ network: { allowHosts: ["http://a.com"] } }, 'network has "http://a.com" in allowHosts'],
    [{ env: { "A B": "1" } }, 'env has "A B"'],
    [{ env: { A: 1 } }, "env .A must be a text, got a number"],
    [{ name: "9lives" }, /name must be 1 to 64 letters/],
    [null, "the spec must be an object"],
  ];
  test.each(wrong)("%j is refused and says why", (spec, message) => {
    check(spec, message);
  });
});

test.each(["", "-a", "a b", "a/b", "x".repeat(65), "ap_".padEnd(29, "0"), undefined])(
  "the app name %j is refused",
  (name) => {
    expect(() => validateAppName(name)).toThrow(UsageError);
  },
);

describe("did you mean", () => {
  const words = ["timeoutMs", "memoryMiB", "maxContainers", "preemptible"];

  test("finds a word with one typing mistake", () => {
    const mistakes = fc.record({
      word: fc.constantFrom(...words),
      at: fc.nat({ max: 8 }),
      kind: fc.constantFrom("drop", "double", "change", "swap"),
    });
    fc.assert(
      fc.property(mistakes, ({ word, at, kind }) => {
        const left = word.slice(0, at);
        const letter = word.charAt(at);
        const rest = word.slice(at + 1);
        const wrong = {
          drop: left + rest,
          double: left + letter + letter + rest,
          change: `${left}~${rest}`,
          swap: left + rest.charAt(0) + letter + rest.slice(1),
        }[kind];
        expect(didYouMean(wrong, words)).toBe(word);
      }),
    );
  });

  test("says nothing when nothing is near", () => {
    expect(didYouMean("zebra", words)).toBeUndefined();
  });
});

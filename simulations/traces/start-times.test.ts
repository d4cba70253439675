import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readCsv } from "../../documents/index.ts";
import { MEASURED_STARTS, startMsAt } from "./start-times.ts";

const FOLDER = fileURLToPath(new URL("../../../shared/data/alibaba-genai-2026/", import.meta.url));
const FILES = {
  baseModel: "basemodel_update_latency_anon.csv.gz",
  lora: "lora_update_latency_anon.csv.gz",
  pipeline: "pipeline_update_latency_anon.csv.gz",
} as const;

const hasFiles = existsSync(FOLDER);
if (!hasFiles) process.stderr.write(`SKIPPED: the public traces are not at ${FOLDER}\n`);
test.skipIf(!hasFiles).each(Object.entries(FILES))(
  `%s starts are as measured (skipped without ${FOLDER})`,
  (kind, file) => {
    const text = gunzipSync(readFileSync(`${FOLDER}${file}`)).toString("utf8");
    const values = readCsv(text, file)
      .rows.map((row) => Number(row.cell("value")))
      .sort((a, b) => a - b);
    const at = (q: number): number => values[Math.ceil(q * values.length) - 1] ?? 0;
    const known = MEASURED_STARTS[kind as keyof typeof FILES];
    for (const q of [0.5, 0.9, 0.99]) {
      expect(startMsAt(known, q) / at(q), `${q}`).toBeCloseTo(1, 1);
    }
  },
);

test.each(Object.entries(MEASURED_STARTS))("%s starts grow with the quantile", (_kind, known) => {
  expect(startMsAt(known, 0.5)).toBe(known.p50Ms);
  expect(startMsAt(known, 0.9)).toBeCloseTo(known.p90Ms, 6);
  expect(startMsAt(known, 0.99)).toBeCloseTo(known.p99Ms, 6);
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(share, share, (a, b) => {
      const [low, high] = [Math.min(a, b), Math.max(a, b)];
      expect(startMsAt(known, low)).toBeLessThanOrEqual(startMsAt(known, high) + 1e-9);
      expect(startMsAt(known, low)).toBeGreaterThan(0);
    }),
  );
});

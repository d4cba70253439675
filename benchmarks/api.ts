/**
 * What the HTTP API carries, against what this machine carries without it: inputs of 100 MB
 * against a bare copy over the loopback, authenticated requests against a bare fastify, and how
 * late lines come to many readers at once. Measures alternate with their yardsticks.
 */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  flotilla,
  startPlatformProcess,
  type RunningPlatform,
} from "../scripts/platform/platform-process.ts";
import { sweep } from "../scripts/platform/sweep.ts";
import { App, Client } from "../sdk/index.ts";
import { startFastify } from "./api/bare-fastify.ts";
import { copyOverLoopback } from "./api/loopback-copy.ts";
import { lineLags } from "./api/line-lags.ts";
import { requestsPerSecond } from "./api/request-load.ts";
import { quantile, type Report } from "./harness.ts";

const FIXTURE = "tests/fixtures/bench-api-app.ts";
const PAYLOAD_BYTES = 100_000_000;
const PAYLOAD_ROUNDS = 5;
/** Inputs of a round; as many are on their way at once as there are containers. */
const PAYLOADS_PER_ROUND = 4;
const PAYLOADS_AT_ONCE = 2;
const LOAD_ROUNDS = 5;
const FOLLOWERS = 200;
const LINES_PER_SECOND = 50;
const LINES_SECONDS = 10;
const WHOLE_MS_MAX = 10 * 60_000;

export async function run(report: Report): Promise<void> {
  const scratchDir = mkdtempSync(join(tmpdir(), "flotilla-bench-"));
  let platform: RunningPlatform | undefined;
  try {
    platform = await startPlatformProcess({
      scratchDir,
      upArguments: ["--port", "0"],
      // What is measured is the way of a request, not the limit on them.
      environment: { FLOTILLA_REQUESTS_PER_SECOND: "1000000" },
      signal: AbortSignal.timeout(WHOLE_MS_MAX),
    });
    process.env["FLOTILLA_SERVER_URL"] = platform.serverUrl;
    process.env["FLOTILLA_TOKEN"] = platform.token;
    flotilla(scratchDir, ["deploy", FIXTURE]);
    await measureRequests(platform, report);
    await measurePayloads(report);
    await measureLines(platform, report);
  } finally {
    await platform?.stop();
    await sweep(scratchDir);
  }
}

async function measurePayloads(report: Report): Promise<void> {
  const weigh = await App.lookup<[Uint8Array], number>("bench-api", "weigh");
  const payloads = Array.from({ length: PAYLOADS_PER_ROUND }, () => new Uint8Array(PAYLOAD_BYTES));
  let stamp = 0;
  const send = async (): Promise<void> => {
    const waiting = [...payloads];
    const lane = async (): Promise<void> => {
      for (let payload = waiting.pop(); payload !== undefined; payload = waiting.pop()) {
        // Never the same bytes twice: what is there already is not stored again.
        stamp += 1;
        for (let at = 0; at < PAYLOAD_BYTES; at += 1_000_000) payload[at] = stamp;
        const byteCount = await weigh.remote(payload);
        if (byteCount !== PAYLOAD_BYTES) throw new Error(`${byteCount} bytes arrived`);
      }
    };
    await Promise.all(Array.from({ length: PAYLOADS_AT_ONCE }, lane));
  };
  report.note("containers start and are compiled");
  await send();
  report.note(`${PAYLOAD_ROUNDS} rounds of ${PAYLOADS_PER_ROUND} inputs of 100 MB`);
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < PAYLOAD_ROUNDS; round += 1) {
    theirs.push(await copyOverLoopback(PAYLOAD_BYTES, PAYLOADS_PER_ROUND));
    const startedAtMs = performance.now();
    await send();
    ours.push(performance.now() - startedAtMs);
  }
  const perSecond = (durationsMs: readonly number[]): number =>
    (PAYLOADS_PER_ROUND * PAYLOAD_BYTES) / 1_000 / quantile(durationsMs, 0.5);
  const rates = { value: perSecond(ours), baseline: perSecond(theirs) };
  report.figure({ metric: "payload_100mb", ...rates, unit: "MB/s" });
}

async function measureRequests(platform: RunningPlatform, report: Report): Promise<void> {
  report.note(`${LOAD_ROUNDS} rounds of requests that do nothing`);
  const bare = await startFastify();
  try {
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let round = 0; round <= LOAD_ROUNDS; round += 1) {
      const their = await requestsPerSecond(`${bare.url}/noop`, platform.token);
      const our = await requestsPerSecond(`${platform.serverUrl}/v1/ping`, platform.token);
      // The first round compiles.
      if (round === 0) continue;
      theirs.push(their);
      ours.push(our);
    }
    const rates = { value: quantile(ours, 0.5), baseline: quantile(theirs, 0.5) };
    report.figure({ metric: "noop_rps", ...rates, unit: "requests/s" });
  } finally {
    bare.stop();
  }
}

async function measureLines(platform: RunningPlatform, report: Report): Promise<void> {
  report.note(`${FOLLOWERS} followers of ${LINES_PER_SECOND} lines a second`);
  const talk = await App.lookup<[number, number], number>("bench-api", "talk");
  const client = new Client({ serverUrl: platform.serverUrl, token: platform.token });
  const lags = await lineLags({
    client,
    app: "bench-api",
    followers: FOLLOWERS,
    lineCount: LINES_PER_SECOND * LINES_SECONDS,
    talk: (lineCount) => talk.remote(lineCount, 1_000 / LINES_PER_SECOND),
  });
  report.figure({ metric: "sse_lag_p50_ms", value: quantile(lags, 0.5), unit: "ms" });
  report.figure({ metric: "sse_lag_p99_ms", value: quantile(lags, 0.99), unit: "ms" });
}

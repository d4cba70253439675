/**
 * What the HTTP API carries, against what this machine carries without it: inputs of 100 MB
 * against a bare copy over the loopback, authenticated requests against a bare fastify, and how
 * late lines come to many readers at once. Measures alternate with their yardsticks.
 */
import { flotilla, type RunningPlatform } from "../scripts/platform/platform-process.ts";
import { App, Client } from "../sdk/index.ts";
import { startFastify } from "./api/bare-fastify.ts";
import { copyOverLoopback } from "./api/loopback-copy.ts";
import { lineLags } from "./api/line-lags.ts";
import { requestsPerSecond } from "./api/request-load.ts";
import { quantile, type BenchmarkOptions, type OptionValues, type Report } from "./harness.ts";
import { withPlatform } from "./platform/with-platform.ts";

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

export const options = {
  part: {
    placeholder: "PART",
    default: "all",
    description: "what is measured: requests, lines, payloads or all",
  },
} as const satisfies BenchmarkOptions;

type Part = (platform: RunningPlatform, scratchDir: string, report: Report) => Promise<void>;

/** Lines before payloads: those whose containers stay hold all the processors of a small machine. */
const PARTS: Readonly<Record<string, Part>> = {
  requests: measureRequests,
  lines: measureLines,
  payloads: measurePayloads,
};

export async function run(report: Report, { part = "all" }: OptionValues): Promise<void> {
  const parts = Object.entries(PARTS).filter(([name]) => part === "all" || part === name);
  if (parts.length === 0) throw new TypeError(`--part ${part}: ${options.part.description}`);
  const platformOptions = {
    // What is measured is the way of a request, not the limit on them.
    environment: { FLOTILLA_REQUESTS_PER_SECOND: "1000000" },
    wholeMsMax: WHOLE_MS_MAX,
  };
  await withPlatform(platformOptions, async (platform, scratchDir) => {
    for (const [, measure] of parts) await measure(platform, scratchDir, report);
  });
}

async function measurePayloads(
  _platform: RunningPlatform,
  scratchDir: string,
  report: Report,
): Promise<void> {
  flotilla(scratchDir, ["deploy", "tests/fixtures/bench-payloads-app.ts"]);
  const weigh = await App.lookup<[Uint8Array], number>("bench-payloads", "weigh");
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

async function measureRequests(
  platform: RunningPlatform,
  _scratchDir: string,
  report: Report,
): Promise<void> {
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

async function measureLines(
  platform: RunningPlatform,
  scratchDir: string,
  report: Report,
): Promise<void> {
  flotilla(scratchDir, ["deploy", "tests/fixtures/bench-lines-app.ts"]);
  report.note(`${FOLLOWERS} followers of ${LINES_PER_SECOND} lines a second`);
  const talk = await App.lookup<[number, number], number>("bench-lines", "talk");
  const client = new Client({ serverUrl: platform.serverUrl, token: platform.token });
  const lags = await lineLags({
    client,
    app: "bench-lines",
    followers: FOLLOWERS,
    lineCount: LINES_PER_SECOND * LINES_SECONDS,
    talk: (lineCount) => talk.remote(lineCount, 1_000 / LINES_PER_SECOND),
  });
  report.figure({ metric: "sse_lag_p50_ms", value: quantile(lags, 0.5), unit: "ms" });
  report.figure({ metric: "sse_lag_p99_ms", value: quantile(lags, 0.99), unit: "ms" });
}

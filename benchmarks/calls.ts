/**
 * What a call costs on the embedded platform, against the same work without it: raw BullMQ on
 * the same Redis, bare gVisor with the same image. Measures alternate with their yardsticks, so
 * that a slow moment of the machine meets both.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { flotilla, type RunningPlatform } from "../scripts/platform/platform-process.ts";
import { ROOT, stepEnvironment } from "../scripts/steps.ts";
import { App, Client, type RemoteFunction } from "../sdk/index.ts";
import { streamEvents } from "../sdk/client/event-stream.ts";
import { connectRedis } from "../server/redis/endpoint.ts";
import { socketPathFor } from "../server/redis/socket-path.ts";
import { BareSandbox } from "./calls/bare-sandbox.ts";
import { treeRssMib } from "./calls/process-tree.ts";
import { RawQueue } from "./calls/raw-queue.ts";
import { quantile, type Report } from "./harness.ts";
import { withPlatform } from "./platform/with-platform.ts";

const FIXTURE = "tests/fixtures/bench-app.ts";
const WARM_CONTAINERS = 4;
const CALLS = 1_000;
const CALLS_PER_TURN = 50;
const MAP_INPUTS = 10_000;
const MAP_ROUNDS = 5;
const FIRST_CONTAINERS = 9;
const PROGRAM_STARTS = 15;
const QUICKSTARTS = 3;
/** At rest: what the start left to collect has been collected, and nothing has been asked. */
const REST_MS = 10_000;
const WHOLE_MS_MAX = 10 * 60_000;

export async function run(report: Report): Promise<void> {
  await withPlatform({ wholeMsMax: WHOLE_MS_MAX }, (platform) => measureRest(platform, report));
  await withPlatform({ wholeMsMax: WHOLE_MS_MAX }, async (platform, scratchDir) => {
    flotilla(scratchDir, ["deploy", FIXTURE]);
    const raw = await openRawQueue(scratchDir);
    try {
      await measureWarmCalls(raw, report);
      await measureMap(raw, report);
    } finally {
      await raw.close();
    }
    await measureFirstContainers(platform, scratchDir, report);
  });
  measureHelp(report);
  measureQuickstart(report);
}

async function measureRest(platform: RunningPlatform, report: Report): Promise<void> {
  report.note(`the platform rests for ${REST_MS / 1_000} s`);
  await sleep(REST_MS);
  report.figure({ metric: "idle_rss_mib", value: treeRssMib(platform.pid), unit: "MiB" });
}

async function openRawQueue(scratchDir: string): Promise<RawQueue> {
  const path = await socketPathFor(join(scratchDir, "data", "redis"), "redis.sock");
  const fail = (error: Error): never => {
    throw error;
  };
  const raw = new RawQueue(() => connectRedis({ path }, "bench", fail));
  await raw.ready();
  return raw;
}

async function measureWarmCalls(raw: RawQueue, report: Report): Promise<void> {
  report.note(`${CALLS} calls, one at a time`);
  const echo = await App.lookup<[number], number>("bench", "echo");
  await untilWarm(echo);
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let call = 0; call < CALLS; call += 1) {
    // In turns: alternating calls would each pay for the other's cold caches.
    if (call % CALLS_PER_TURN === 0) {
      for (let own = 0; own < CALLS_PER_TURN; own += 1) {
        theirs.push(await timed(() => raw.roundTrip(own)));
      }
    }
    ours.push(await timed(() => echo.remote(call)));
  }
  for (const [name, q] of [
    ["p50", 0.5],
    ["p99", 0.99],
  ] as const) {
    const figure = { value: quantile(ours, q), baseline: quantile(theirs, q), unit: "ms" };
    report.figure({ metric: `warm_call_${name}`, ...figure });
  }
}

/** Calls until every container has run often enough to be compiled. */
async function untilWarm(echo: RemoteFunction<[number], number>): Promise<void> {
  for (let round = 0; round < 2; round += 1) await mapAll(echo, MAP_INPUTS);
  for (let call = 0; call < WARM_CONTAINERS * 50; call += 1) await echo.remote(call);
}

async function mapAll(echo: RemoteFunction<[number], number>, count: number): Promise<void> {
  const inputs = Array.from({ length: count }, (_, index) => index);
  let sum = 0;
  for await (const value of echo.map(inputs, { ordered: false })) sum += value;
  if (sum !== (count * (count - 1)) / 2) throw new Error(`the map's results add up to ${sum}`);
}

async function measureMap(raw: RawQueue, report: Report): Promise<void> {
  report.note(`${MAP_ROUNDS} maps of ${MAP_INPUTS} inputs over ${WARM_CONTAINERS} containers`);
  const echo = await App.lookup<[number], number>("bench", "echo");
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < MAP_ROUNDS; round += 1) {
    theirs.push(await timed(() => raw.drain(MAP_INPUTS)));
    ours.push(await timed(() => mapAll(echo, MAP_INPUTS)));
  }
  const perSecond = (durationsMs: readonly number[]): number =>
    (MAP_INPUTS * 1_000) / quantile(durationsMs, 0.5);
  report.figure({
    metric: "map_throughput",
    value: perSecond(ours),
    baseline: perSecond(theirs),
    unit: "inputs/s",
  });
}

/**
 * From before the call is sent to its first line of output at a reader, against `runsc run` of
 * the same image from its start to its end.
 */
async function measureFirstContainers(
  platform: RunningPlatform,
  scratchDir: string,
  report: Report,
): Promise<void> {
  report.note(`${FIRST_CONTAINERS} first containers`);
  const hello = await App.lookup<[], string>("bench", "hello");
  const bare = await BareSandbox.open(scratchDir, "0");
  const lines = new FirstLines(platform, "hello");
  const ours: number[] = [];
  const theirs: number[] = [];
  try {
    await lines.opened;
    await bare.run();
    for (let round = 0; round < FIRST_CONTAINERS; round += 1) {
      theirs.push(await bare.run());
      const beganAtMs = performance.now();
      const line = lines.next();
      const call = await hello.spawn();
      const { atMs, containerId } = await line;
      ours.push(atMs - beganAtMs);
      await call.get({ timeoutMs: 30_000 });
      flotilla(scratchDir, ["container", "stop", containerId]);
      await lines.gone(containerId);
    }
  } finally {
    lines.close();
  }
  report.figure({
    metric: "first_container",
    value: quantile(ours, 0.5),
    baseline: quantile(theirs, 0.5),
    unit: "ms",
  });
}

interface FirstLine {
  readonly atMs: number;
  readonly containerId: string;
}

/** Follows the platform's events for one line of output and for the ends of containers. */
class FirstLines {
  readonly opened: Promise<void>;
  readonly #ended = new AbortController();
  readonly #gone = new Set<string>();
  #onLine: ((line: FirstLine) => void) | undefined;
  #onGone: (() => void) | undefined;
  #failed: (error: unknown) => void = () => undefined;
  readonly #failure: Promise<never>;

  constructor({ serverUrl, token }: RunningPlatform, text: string) {
    const opened = Promise.withResolvers<undefined>();
    this.opened = opened.promise;
    this.#failure = new Promise((_, reject) => (this.#failed = reject));
    this.#failure.catch(() => undefined);
    const client = new Client({ serverUrl, token });
    const onOpen = (): void => opened.resolve(undefined);
    const follow = async (): Promise<void> => {
      const options = { signal: this.#ended.signal, onOpen };
      for await (const event of streamEvents(client, {}, options)) {
        const { containerId } = event;
        if (containerId === undefined) continue;
        if (event.kind === "log" && event.text.trimEnd() === text) {
          this.#onLine?.({ atMs: performance.now(), containerId });
        }
        if (event.kind === "container.exited") {
          this.#gone.add(containerId);
          this.#onGone?.();
        }
      }
    };
    follow().catch(this.#failed);
  }

  /** The next time the line is printed. */
  async next(): Promise<FirstLine> {
    const line = new Promise<FirstLine>((resolve) => (this.#onLine = resolve));
    return Promise.race([line, this.#failure]);
  }

  /** Resolves when the container has ended. */
  async gone(containerId: string): Promise<void> {
    while (!this.#gone.has(containerId)) {
      const change = new Promise<void>((resolve) => (this.#onGone = resolve));
      await Promise.race([change, this.#failure]);
    }
  }

  close(): void {
    this.#ended.abort();
  }
}

function measureHelp(report: Report): void {
  const cli = join(ROOT, "sdk", "bin", "flotilla.mjs");
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let start = 0; start < PROGRAM_STARTS; start += 1) {
    theirs.push(timedProgram(["-e", "0"]));
    ours.push(timedProgram([cli, "--help"]));
  }
  report.figure({
    metric: "cli_help",
    value: quantile(ours, 0.5),
    baseline: quantile(theirs, 0.5),
    unit: "ms",
  });
}

function measureQuickstart(report: Report): void {
  report.note(`${QUICKSTARTS} quick starts`);
  const script = join(ROOT, "scripts", "bootstrap.mjs");
  const durations = Array.from({ length: QUICKSTARTS }, () => timedProgram([script, "quickstart"]));
  const value = quantile(durations, 0.5) / 1_000;
  report.figure({ metric: "quickstart_seconds", value, unit: "s" });
}

/** Milliseconds that Node takes with these arguments. @throws Error when it fails */
function timedProgram(programArguments: readonly string[]): number {
  const beganAtMs = performance.now();
  const { status, stderr } = spawnSync(process.execPath, programArguments, {
    cwd: ROOT,
    env: stepEnvironment(),
    encoding: "utf8",
    timeout: WHOLE_MS_MAX,
  });
  const durationMs = performance.now() - beganAtMs;
  if (status === 0) return durationMs;
  throw new Error(`node ${programArguments.join(" ")} failed (${status ?? "killed"}): ${stderr}`);
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const beganAtMs = performance.now();
  await work();
  return performance.now() - beganAtMs;
}

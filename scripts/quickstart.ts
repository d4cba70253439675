/**
 * `npm run quickstart`: the main job of the platform, watched as it happens.
 *
 * Starts a platform of its own with an emulated EC2, deploys examples/square.ts (which asks
 * for an H100), calls it, maps it over 10,000 inputs, and says what that took. Everything
 * lives in one scratch folder and is gone at the end, also after ctrl-C or a failure.
 */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Deployment, PlatformEvent, PlatformStatus } from "../sdk/protocol/index.ts";
import { quantile } from "../benchmarks/harness.ts";
import { Client } from "../sdk/index.ts";
import { streamEvents } from "../sdk/client/event-stream.ts";
import { createNarrator } from "./quickstart/narrate.ts";
import {
  flotilla,
  logTail,
  runEnvironment,
  startPlatformProcess,
  type RunningPlatform,
} from "./platform/platform-process.ts";
import { createScreen } from "./quickstart/screen.ts";
import { sweep } from "./platform/sweep.ts";

const EXAMPLE = "examples/square.ts";
const UP_ARGUMENTS = ["--port", "0", "--emulated-clouds=aws", "--emulated-boot-ms", "1500"];
const MAP_INPUTS = 10_000;
const WARM_CALLS = 20;
const WARM_UP_CALLS = 3;
/** Nothing in the quick start takes this long; past it, something is wrong. */
const WHOLE_MS_MAX = 180_000;
const INTERRUPTED_EXIT_CODE = 130;
const NEXT_COMMANDS = [
  ["up --emulated-clouds --detach", "a platform that stays"],
  [`run ${EXAMPLE}`, "run it, edit it, run it again"],
  ["plan", "which machines, and why"],
  ["down", "stop it"],
] as const;
const NEXT_COMMAND_WIDTH = Math.max(...NEXT_COMMANDS.map(([command]) => command.length));

const screen = createScreen(() => performance.now(), process.stdout.isTTY);
const scratchDir = mkdtempSync(join(tmpdir(), "flotilla-quickstart-"));
const interrupted = new AbortController();
const startedAtMs = performance.now();
let platform: RunningPlatform | undefined;
/** Changed by signals, which the compiler cannot see. */
const stop = { byUser: false };

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    if (interrupted.signal.aborted) return;
    stop.byUser = true;
    screen.plain("\nStopping and cleaning up ...");
    interrupted.abort(new Error("interrupted"));
  });
}
setTimeout(() => {
  interrupted.abort(new Error(`not done after ${WHOLE_MS_MAX / 1000} s`));
}, WHOLE_MS_MAX).unref();

try {
  await untilAborted(quickstart());
} catch (error) {
  process.exitCode = stop.byUser ? INTERRUPTED_EXIT_CODE : 1;
  if (!stop.byUser) {
    screen.plain(`\n✖ ${error instanceof Error ? error.message : String(error)}`);
    if (platform !== undefined) screen.plain(logTail(scratchDir));
  }
} finally {
  interrupted.abort(new Error("over"));
  await platform?.stop();
  const swept = await sweep(scratchDir);
  const forced = swept.processes + swept.mounts;
  const extra =
    forced === 0 ? "" : ` (${swept.processes} processes, ${swept.mounts} mounts by force)`;
  screen.plain(`\nCleaned up: no process, mount or file of this run is left${extra}.`);
  process.exit();
}

async function quickstart(): Promise<void> {
  screen.heading("Starting a platform: server, Redis, record store, an emulated EC2");
  platform = await startPlatformProcess({
    scratchDir,
    upArguments: UP_ARGUMENTS,
    signal: interrupted.signal,
  });
  screen.story("platform", `ready at ${platform.serverUrl}`);
  const watch = watchEvents(platform);
  await watch.begun();

  screen.heading(`flotilla deploy ${EXAMPLE}`);
  const deployed = flotilla(scratchDir, ["deploy", EXAMPLE, "--json"]);
  const { deployments } = JSON.parse(deployed) as { readonly deployments: readonly Deployment[] };
  const [deployment] = deployments;
  const target = deployment?.functions[0];
  if (deployment === undefined || target === undefined)
    throw new Error(`${EXAMPLE} has no function`);
  const { app, version } = deployment;
  screen.story("deploy", `app ${app} version ${version}, function ${target.name}`);

  const square = await lookup(app, target.name);
  screen.heading(`One call: ${target.name}.remote(4), which asks for an H100; there is none yet`);
  screen.restartClock();
  const coldMs = await timed(async () => {
    expectEqual(await square.remote(4), 16);
  });
  await watch.settled();
  screen.story("result", `16 after ${seconds(coldMs)}, from nothing rented to the result`);

  screen.heading(`A map: ${target.name}.map over ${MAP_INPUTS.toLocaleString("en-US")} inputs`);
  watch.mute();
  const mapMs = await timed(() => mapAll(square));

  const warmMs: number[] = [];
  for (let call = 0; call < WARM_UP_CALLS; call += 1) await square.remote(call);
  for (let call = 0; call < WARM_CALLS; call += 1) {
    warmMs.push(await timed(() => square.remote(call)));
  }
  await summarize({ platform, watch, coldMs, mapMs, warmMs });
}

type Square = Awaited<ReturnType<typeof lookup>>;

async function lookup(app: string, functionName: string) {
  process.env["FLOTILLA_HOME"] = runEnvironment(scratchDir)["FLOTILLA_HOME"];
  const { App } = await import("../sdk/index.ts");
  return await App.lookup<[number], number>(app, functionName);
}

async function mapAll(square: Square): Promise<void> {
  const inputs = Iterator.from(Array.from({ length: MAP_INPUTS }, (_, index) => index));
  const beganAtMs = performance.now();
  let done = 0;
  let sum = 0;
  for await (const value of square.map(inputs, { ordered: false })) {
    done += 1;
    sum += value;
    if (done % 100 !== 0 && done !== MAP_INPUTS) continue;
    const perSecond = Math.round((done / (performance.now() - beganAtMs)) * 1000);
    const count = `${done.toLocaleString("en-US")} of ${MAP_INPUTS.toLocaleString("en-US")}`;
    screen.progress(done, MAP_INPUTS, `${count}, ${perSecond.toLocaleString("en-US")} inputs/s`);
  }
  const last = MAP_INPUTS - 1;
  expectEqual(done, MAP_INPUTS);
  expectEqual(sum, (last * (last + 1) * (2 * last + 1)) / 6);
}

interface Watch {
  /** Resolves when the first event has been told: this machine has joined. */
  begun(): Promise<void>;
  readonly containerIds: ReadonlySet<string>;
  readonly startsMs: readonly number[];
  /** Resolves when the events of the finished call have been told. */
  settled(): Promise<void>;
  /** From now on user output is not shown. */
  mute(): void;
}

function watchEvents({ serverUrl, token }: RunningPlatform): Watch {
  const client = new Client({ serverUrl, token });
  const narrate = createNarrator();
  const containerIds = new Set<string>();
  const startsMs: number[] = [];
  const begun = Promise.withResolvers<undefined>();
  const finished = Promise.withResolvers<undefined>();
  let muted = false;
  const tell = (event: PlatformEvent): void => {
    if (event.kind === "container.ready") startsMs.push(event.startMs);
    if (event.containerId !== undefined) containerIds.add(event.containerId);
    const hidden = muted && (event.kind === "log" || event.kind.startsWith("call."));
    if (!hidden) for (const { subject, text } of narrate(event)) screen.story(subject, text);
    begun.resolve(undefined);
    if (event.kind === "call.finished") finished.resolve(undefined);
  };
  const follow = async (): Promise<void> => {
    const { signal } = interrupted;
    for await (const event of streamEvents(client, { after: "0" }, { signal })) tell(event);
  };
  follow().catch((error: unknown) => {
    if (!interrupted.signal.aborted) interrupted.abort(error);
  });
  return {
    begun: () => begun.promise,
    containerIds,
    startsMs,
    settled: () => finished.promise,
    mute: () => (muted = true),
  };
}

interface Measured {
  readonly platform: RunningPlatform;
  readonly watch: Watch;
  readonly coldMs: number;
  readonly mapMs: number;
  readonly warmMs: readonly number[];
}

async function summarize({ platform: at, watch, coldMs, mapMs, warmMs }: Measured): Promise<void> {
  const response = await fetch(`${at.serverUrl}/v1/status`, {
    headers: { authorization: `Bearer ${at.token}` },
  });
  const status = (await response.json()) as PlatformStatus;
  const usedS = status.gpuMsUsed / 1000;
  const paidS = status.gpuMsPaid / 1000;
  const perSecond = Math.round(MAP_INPUTS / (mapMs / 1000)).toLocaleString("en-US");
  const starts = watch.startsMs.map((ms) => `${Math.round(ms)} ms`).join(", ");
  const percent = paidS === 0 ? 0 : (usedS / paidS) * 100;
  const rows: readonly (readonly [string, string])[] = [
    ["containers used", `${watch.containerIds.size} (sandbox starts: ${starts})`],
    ["first call, cold", `${seconds(coldMs)} (includes the launch and 1.5 s of emulated boot)`],
    [
      "warm call",
      `${ms(quantile(warmMs, 0.5))} median, ${ms(Math.max(...warmMs))} slowest of ${WARM_CALLS}`,
    ],
    [
      "map",
      `${MAP_INPUTS.toLocaleString("en-US")} inputs in ${seconds(mapMs)}, ${perSecond} inputs/s`,
    ],
    [
      "GPU time",
      `${usedS.toFixed(1)} s used of ${paidS.toFixed(1)} s paid (${percent.toFixed(1)} %)`,
    ],
    [
      "cost",
      `$${(status.costMicroUsd / 1e6).toFixed(4)} at list prices; emulated, so nobody was billed`,
    ],
    ["whole quick start", seconds(performance.now() - startedAtMs)],
  ];
  screen.heading("Summary");
  for (const [label, text] of rows) screen.plain(`  ${label.padEnd(18)} ${text}`);
  screen.heading("Go on");
  for (const [command, text] of NEXT_COMMANDS) {
    screen.plain(`  npm run flotilla -- ${command.padEnd(NEXT_COMMAND_WIDTH)}  ${text}`);
  }
}

/** Ends waiting as soon as the run is interrupted; the cleaning up then ends the rest. */
async function untilAborted(work: Promise<void>): Promise<void> {
  const { signal } = interrupted;
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => {
      reject(signal.reason instanceof Error ? signal.reason : new Error("interrupted"));
    });
  });
  await Promise.race([work, aborted]);
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const beganAtMs = performance.now();
  await work();
  return performance.now() - beganAtMs;
}

function expectEqual(found: number, wanted: number): void {
  if (found !== wanted) throw new Error(`the platform answered ${found} where ${wanted} is right`);
}

function seconds(durationMs: number): string {
  return `${(durationMs / 1000).toFixed(2)} s`;
}

function ms(durationMs: number): string {
  return `${durationMs.toFixed(1)} ms`;
}

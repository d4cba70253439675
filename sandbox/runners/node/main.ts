/**
 * The runner: the process in which a user's function lives, under Node, inside a container.
 *
 * It is told the code once, then takes inputs one after the other and answers each. Answers
 * leave at once when nothing else waits, and in handfuls when inputs come fast. It knows no
 * network and no file but its own; when the channel ends, it ends.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { decodeValue, encodeValue, splitBody, type Frame } from "../../../sdk/protocol/index.ts";
import type { RunnerResult, ToRunner } from "../protocol.ts";
import { tooLargeError } from "../too-large.ts";
import { RunnerChannel } from "./channel.ts";
import { Output } from "./output.ts";
import { wireErrorOf } from "./wire-error.ts";

type Handler = (...args: readonly unknown[]) => unknown;

type ResolveHandler = (module: unknown, functionName: string, appName: string) => Handler;

interface Queued {
  readonly inputId: string;
  readonly payload: Uint8Array;
}

/** Answers wait for others at most this long while inputs come fast. */
const GATHER_MS = 2;
/** The event loop gets a turn at least this often, so that cancellations are read. */
const TURN_MS = 5;
/** Lines stay behind while the agent has more than this to take. */
const UNWRITTEN_BYTES_MAX = 1024 * 1024;
const NOTHING = new Uint8Array(0);

const exitProcess = process.exit.bind(process);
const channel = new RunnerChannel(receive, () => exitProcess(0));
const output = new Output(scheduleLogs);
const queue: Queued[] = [];
let handler: Handler | undefined;
let working = false;
let results: RunnerResult[] = [];
let payloads: Uint8Array[] = [];
let flushedAtMs = 0;
let logsScheduled = false;
let failRunning: ((thrown: unknown) => void) | undefined;

output.capture();
// Tells the SDK in the user's bundle that it runs in a container.
Object.defineProperty(globalThis, Symbol.for("flotilla.container"), { value: true });
Object.defineProperty(process, "exit", {
  value: (code?: number | string | null): never => {
    const exitCode = Number(code ?? process.exitCode ?? 0);
    const { inputId } = output;
    flush();
    channel.send({ type: "exiting", exitCode, ...(inputId === undefined ? {} : { inputId }) });
    channel.flushBeforeExit();
    return exitProcess(exitCode);
  },
});
process.on("uncaughtException", (error) => fail(error));
process.on("unhandledRejection", (error) => fail(error));
process.on("SIGTERM", () => exitProcess(0));

function receive({ header, body }: Frame<ToRunner>): void {
  switch (header.type) {
    case "boot":
      void boot(header, body);
      return;
    case "inputs": {
      const pieces = splitBody(
        body,
        header.inputs.map((input) => input.bytes),
      );
      for (const [position, { inputId }] of header.inputs.entries()) {
        queue.push({ inputId, payload: pieces[position] ?? NOTHING });
      }
      void work();
      return;
    }
    case "cancel":
      giveBack(new Set(header.inputIds));
  }
}

async function boot(
  { functionName, appName, env }: Extract<ToRunner, { type: "boot" }>,
  code: Uint8Array,
): Promise<void> {
  for (const name of Object.keys(process.env)) Reflect.deleteProperty(process.env, name);
  Object.assign(process.env, env);
  try {
    const file = join(process.cwd(), `app-${process.pid}.mjs`);
    writeFileSync(file, code);
    const module: unknown = await import(pathToFileURL(file).href);
    handler = resolveHandler(module, functionName, appName);
    sendLogs(false);
    channel.send({ type: "ready" });
    void work();
  } catch (error) {
    sendLogs(true);
    channel.send({ type: "load_failed", error: wireErrorOf(error) });
  }
}

/** The SDK inside the user's bundle knows which function has which name. */
function resolveHandler(module: unknown, functionName: string, appName: string): Handler {
  const runtime: unknown = Reflect.get(globalThis, Symbol.for("flotilla.runtime"));
  if (typeof runtime !== "object" || runtime === null || !("resolveHandler" in runtime)) {
    throw new Error(`the code does not import "flotilla", so it has no function ${functionName}`);
  }
  const { resolveHandler: resolve } = runtime as { resolveHandler: ResolveHandler };
  return resolve(module, functionName, appName);
}

async function work(): Promise<void> {
  if (working || handler === undefined) return;
  working = true;
  let turnAtMs = performance.now();
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    await runOne(handler, next);
    const nowMs = performance.now();
    if (queue.length === 0 || nowMs - flushedAtMs > GATHER_MS) flush();
    if (nowMs - turnAtMs < TURN_MS) continue;
    await new Promise((resolve) => setImmediate(resolve));
    turnAtMs = performance.now();
  }
  working = false;
  flush();
}

async function runOne(run: Handler, { inputId, payload }: Queued): Promise<void> {
  output.inputId = inputId;
  const beganAtMs = performance.now();
  try {
    const answered = invoke(run, payload);
    const value = answered instanceof Promise ? await orUncaught(answered) : answered;
    const encoded = encodeValue(value, "result");
    const error = tooLargeError(encoded.byteLength);
    if (error !== undefined) {
      addResult({ inputId, outcome: "failed", bytes: 0, error, ...took(beganAtMs) });
      return;
    }
    addResult({ inputId, outcome: "succeeded", bytes: encoded.byteLength, ...took(beganAtMs) });
    payloads.push(encoded);
  } catch (error) {
    const wire = wireErrorOf(error);
    addResult({ inputId, outcome: "failed", bytes: 0, error: wire, ...took(beganAtMs) });
  } finally {
    output.inputId = undefined;
  }
}

function invoke(run: Handler, payload: Uint8Array): unknown {
  const args = decodeValue(payload);
  if (!Array.isArray(args)) throw new TypeError("the input is not a list of arguments");
  return run(...(args as readonly unknown[]));
}

/** The promise, or the first error that nobody in the user's code handled meanwhile. */
async function orUncaught(promise: Promise<unknown>): Promise<unknown> {
  const uncaught = new Promise<never>((_, reject) => {
    failRunning = reject;
  });
  try {
    return await Promise.race([promise, uncaught]);
  } finally {
    failRunning = undefined;
  }
}

/** An error outside any input is printed; inside one it is that input's. */
function fail(thrown: unknown): void {
  if (failRunning !== undefined) {
    failRunning(thrown);
    return;
  }
  const wire = wireErrorOf(thrown);
  output.write("stderr", Buffer.from(`Uncaught ${wire.stack ?? wire.message}\n`));
}

function took(beganAtMs: number): { readonly runMs: number } {
  return { runMs: performance.now() - beganAtMs };
}

function addResult(result: RunnerResult): void {
  results.push(result);
}

function giveBack(inputIds: ReadonlySet<string>): void {
  for (const [position, { inputId }] of [...queue.entries()].reverse()) {
    if (!inputIds.has(inputId)) continue;
    queue.splice(position, 1);
    addResult({ inputId, outcome: "returned", bytes: 0, runMs: 0 });
  }
  flush();
}

/** Sends what was printed, then the results, so that a line never comes after its result. */
function flush(): void {
  flushedAtMs = performance.now();
  sendLogs(results.length > 0);
  if (results.length === 0) return;
  channel.send({ type: "results", results }, payloads);
  results = [];
  payloads = [];
}

function sendLogs(all: boolean): void {
  // A full channel keeps lines here, where what is too much is dropped and counted.
  if (!all && channel.unwrittenBytes > UNWRITTEN_BYTES_MAX) return;
  const batch = output.take(all);
  if (batch !== undefined) channel.send({ type: "logs", ...batch });
}

/** Lines leave at the end of the turn in which they were printed. */
function scheduleLogs(): void {
  if (logsScheduled) return;
  logsScheduled = true;
  setImmediate(() => {
    logsScheduled = false;
    sendLogs(false);
  });
}

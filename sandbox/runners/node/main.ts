/**
 * The runner: the process in which a user's function lives, under Node, inside a container.
 *
 * It is told the code once, then takes inputs and answers each: one after the other, or several
 * at once where the function says so. They begin in the order in which they came. Answers leave
 * at once when nothing else waits, and in handfuls when inputs come fast. It knows no network and no
 * file but its own; when the channel ends, it ends.
 */
import {
  decodeSegments,
  encodeSegments,
  isReference,
  joinSegments,
  loadReference,
  PAYLOAD_BYTES_MAX,
  splitBody,
  storeSegments,
  type Frame,
} from "../../../sdk/protocol/index.ts";
import type { InputHeader, RunnerResult, ToRunner } from "../protocol.ts";
import { muchTooLargeError } from "../too-large.ts";
import { RunnerChannel } from "./channel.ts";
import { setEnvironment } from "./environment.ts";
import { generatorObstacle, prepareGenerators, reseedGenerators } from "./generators.ts";
import { chunkStoreOf } from "./large-values.ts";
import { imageObstacle } from "./obstacles.ts";
import { Output } from "./output.ts";
import { RunningInputs, type RunningInput } from "./running-inputs.ts";
import { ServerRequests, type ServerRequest } from "./server-requests.ts";
import { loadProgram, type UserProgram } from "./user-program.ts";
import { iteratorOf, ValueStream } from "./value-stream.ts";
import { startServer } from "./web/server-start.ts";
import { isWebInput, WebInputs } from "./web/web-inputs.ts";
import { openWayOut } from "./way-out.ts";
import { wireErrorOf } from "./wire-error.ts";

type Handler = UserProgram["handler"];

interface Queued extends Omit<InputHeader, "bytes"> {
  readonly payload: Uint8Array;
  readonly cameAtMs: number;
}

/** Answers wait for others at most this long while inputs come fast. */
const GATHER_MS = 2;
/** The event loop gets a turn at least this often, so that cancellations are read. */
const TURN_MS = 5;
/** Lines stay behind while the agent has more than this to take. */
const UNWRITTEN_BYTES_MAX = 1024 * 1024;
const NOTHING = new Uint8Array(0);

const exitProcess = process.exit.bind(process);
const channel: RunnerChannel = new RunnerChannel(
  receive,
  () => exitProcess(0),
  (header) => (header.type === "response" ? requests.placeOf(header) : undefined),
);
const running = new RunningInputs();
const output = new Output(scheduleLogs, () => running.present?.inputId);
const requests: ServerRequests = new ServerRequests(channel);
const chunks = chunkStoreOf(requests);
const streams = new Map<string, ValueStream>();
const webInputs = new WebInputs(channel);
const queue: Queued[] = [];
/** How long the user's module took to load. */
let loadMs = 0;
/** Known from when the code is loaded; it takes inputs from `program` on. */
let loaded: UserProgram | undefined;
let program: UserProgram | undefined;
let leaving = false;
let working = false;
let results: RunnerResult[] = [];
let payloads: Uint8Array[] = [];
let flushedAtMs = 0;
let turnAtMs = 0;
let logsScheduled = false;
let flushScheduled = false;

output.capture();
// Tells the SDK in the user's bundle that it runs in a container, and for which input.
Object.defineProperty(globalThis, Symbol.for("flotilla.container"), {
  value: {
    currentInput: () => running.present,
    request: (request: ServerRequest, signal?: AbortSignal) => requests.request(request, signal),
  },
});
Object.defineProperty(process, "exit", {
  value: (code?: number | string | null): never => {
    const exitCode = Number(code ?? process.exitCode ?? 0);
    const inputId = running.present?.inputId;
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
      channel.send({ type: "begun" });
      void boot(header, body);
      return;
    case "load":
      channel.send({ type: "begun" });
      void load(header, body);
      return;
    case "enter":
      void enter(header, body);
      return;
    case "inputs":
      take(header, body);
      return;
    case "cancel":
      giveBack(new Set(header.inputIds));
      return;
    case "abort":
      running.abort(abortError("the call was cancelled"), new Set(header.inputIds));
      return;
    case "leave":
      void leave();
      return;
    case "credit":
      streams.get(header.inputId)?.consume(header.consumed);
      return;
    case "stream":
      webInputs.take(header, body);
      return;
    case "response":
      requests.receive(header, body);
  }
}

function take({ inputs }: Extract<ToRunner, { type: "inputs" }>, body: Uint8Array): void {
  const pieces = splitBody(
    body,
    inputs.map((input) => input.bytes),
  );
  const cameAtMs = performance.now();
  for (const [position, input] of inputs.entries()) {
    queue.push({ ...input, payload: pieces[position] ?? NOTHING, cameAtMs });
  }
  void work();
}

type Booting = Pick<
  Extract<ToRunner, { type: "boot" }>,
  "functionName" | "appName" | "maxInputs" | "paramsBytes"
>;

async function boot(
  header: Booting & { readonly env: Readonly<Record<string, string>> },
  body: Uint8Array,
): Promise<void> {
  setEnvironment(header.env);
  if ((await openWay()) && (await loadCode(header, body))) await begin();
}

/** The half of a boot that an image of this process's memory may hold. */
async function load(header: Extract<ToRunner, { type: "load" }>, body: Uint8Array): Promise<void> {
  prepareGenerators();
  setEnvironment(header.env ?? {});
  if (!(await loadCode(header, body))) return;
  sendLogs(true);
  // Node tells of threads a turn after they were begun.
  await nextTurn();
  const obstacle = imageObstacle();
  // Whoever is restored from an image made now may not be told of the frame that comes then.
  channel.startPolling();
  channel.send({ type: "loaded", ...(obstacle === undefined ? {} : { obstacle }) });
}

/** The other half: of this process, or of one that was restored from its image. */
async function enter(
  { env, isDeaf = false }: Extract<ToRunner, { type: "enter" }>,
  entropy: Uint8Array,
): Promise<void> {
  if (!isDeaf) channel.stopPolling();
  // Without the means to seed anew there is no image, so this is the process that loaded.
  if (generatorObstacle() === undefined) reseedGenerators(entropy);
  setEnvironment(env);
  channel.send({ type: "entered" });
  // It has a thread and a socket, which no image may have.
  if (await openWay()) await begin();
}

/** Whether the container has its way out, if it is to have one; why not is said. */
async function openWay(): Promise<boolean> {
  try {
    await openWayOut();
    return true;
  } catch (error) {
    failToLoad(error);
    return false;
  }
}

/** Whether the code loaded; why not is said. */
async function loadCode(
  { functionName, appName, maxInputs = 1, paramsBytes = 0 }: Booting,
  body: Uint8Array,
): Promise<boolean> {
  running.max = maxInputs;
  const [code = NOTHING, params = NOTHING] = splitBody(body, [
    body.byteLength - paramsBytes,
    paramsBytes,
  ]);
  const beganAtMs = performance.now();
  try {
    loaded = await loadProgram({ functionName, appName, code, params });
    loadMs = Math.round(performance.now() - beganAtMs);
    return true;
  } catch (error) {
    failToLoad(error);
    return false;
  }
}

/** Runs what every container runs for itself, and takes inputs from then on. */
async function begin(): Promise<void> {
  if (loaded === undefined) return;
  const beganAtMs = performance.now();
  try {
    await loaded.enter(false);
    if (loaded.server !== undefined) await startServer(loaded.server);
  } catch (error) {
    failToLoad(error);
    return;
  }
  program = loaded;
  sendLogs(false);
  const enterMs = Math.round(performance.now() - beganAtMs);
  const leaves = loaded.exits.length > 0 ? { leaves: true } : {};
  channel.send({ type: "ready", ...leaves, loadMs, enterMs });
  void work();
}

function failToLoad(error: unknown): void {
  sendLogs(true);
  channel.send({ type: "load_failed", error: wireErrorOf(error) });
}

/**
 * Ends in peace. What has not begun is dropped here and what fails from now on is not told of:
 * the server gave all of it to others when it said "leave".
 */
async function leave(): Promise<void> {
  if (leaving) return;
  leaving = true;
  queue.length = 0;
  running.abort(abortError("the container ends; the input runs again elsewhere"));
  // What ends by its signal ends before what it uses is taken down.
  await nextTurn();
  for (const exit of program?.exits ?? []) {
    try {
      await exit();
    } catch (error) {
      fail(error);
    }
  }
  flush();
  sendLogs(true);
  channel.flushBeforeExit();
  exitProcess(0);
}

function abortError(message: string): DOMException {
  return new DOMException(message, "AbortError");
}

/** Works off what is queued; does nothing while somebody does. */
async function work(): Promise<void> {
  if (working || program === undefined) return;
  working = true;
  const { handler } = program;
  await (running.max === 1 ? workInTurn(handler) : workTogether(handler));
}

async function workInTurn(run: Handler): Promise<void> {
  turnAtMs = performance.now();
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    await runOne(run, next);
    const nowMs = performance.now();
    if (queue.length === 0 || nowMs - flushedAtMs > GATHER_MS) flush();
    if (nowMs - turnAtMs >= TURN_MS) await nextTurn();
  }
  working = false;
  flush();
}

/** Begins what there is room for; what ends calls for the next. */
async function workTogether(run: Handler): Promise<void> {
  while (running.hasRoom) {
    const next = queue.shift();
    if (next === undefined) break;
    void runOne(run, next).then(() => {
      scheduleFlush();
      void work();
    });
    if (performance.now() - turnAtMs >= TURN_MS) await nextTurn();
  }
  working = false;
}

async function nextTurn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  turnAtMs = performance.now();
}

async function runOne(run: Handler, queued: Queued): Promise<void> {
  const { inputId } = queued;
  await running.run(inputId, async (input) => {
    const { result, encoded } = await resultOf(run, queued, input);
    output.finish(inputId);
    if (leaving && result.outcome === "failed") return;
    results.push({ inputId, ...result, ...running.timesOf(input) });
    if (encoded !== undefined) payloads.push(encoded);
  });
}

interface Outcome {
  readonly result: Pick<RunnerResult, "outcome" | "bytes" | "error">;
  readonly encoded?: Uint8Array;
}

async function resultOf(run: Handler, queued: Queued, input: RunningInput): Promise<Outcome> {
  try {
    const { payload } = queued;
    // What is small begins in this very turn.
    const answered = isReference(payload)
      ? invoke(run, queued, await loadReference(payload, chunks, input.signal), input)
      : invoke(run, queued, [payload], input);
    const given = answered instanceof Promise ? await orUncaught(answered, input) : answered;
    const value = await returnedBy(given, queued, input);
    const segments = encodeSegments(value, "result");
    const size = segments.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const error = muchTooLargeError(size);
    if (error !== undefined) return { result: { outcome: "failed", bytes: 0, error } };
    const encoded =
      size > PAYLOAD_BYTES_MAX
        ? await storeSegments(segments, chunks, input.signal)
        : joinSegments(segments);
    return { result: { outcome: "succeeded", bytes: encoded.byteLength }, encoded };
  } catch (error) {
    // The client of a web request is not told why, and one that has gone is the reason.
    if (program?.isWeb === true && !input.signal.aborted) print(error);
    return { result: { outcome: "failed", bytes: 0, error: wireErrorOf(error) } };
  }
}

/** The value itself; of a generator, after its values were sent, what it returned. */
async function returnedBy(given: unknown, queued: Queued, input: RunningInput): Promise<unknown> {
  const iterator = iteratorOf(given);
  const { inputId, skip } = queued;
  if (iterator === undefined && skip === undefined) return given;
  if (iterator === undefined) {
    throw new TypeError("the function is no generator: call it with remote, not remoteGen");
  }
  if (skip === undefined) {
    throw new TypeError("the function is a generator: call it with remoteGen");
  }
  const stream = new ValueStream({
    skip,
    signal: input.signal,
    send: sendValueOf(inputId),
    store: async (segments, signal) => storeSegments(segments, chunks, signal),
  });
  streams.set(inputId, stream);
  try {
    return await orUncaught(stream.drain(iterator), input);
  } finally {
    streams.delete(inputId);
  }
}

function sendValueOf(inputId: string): (sequence: number, payload: Uint8Array) => void {
  return (sequence, payload) => {
    sendLogs(true);
    const values = [{ inputId, sequence, bytes: payload.byteLength }];
    channel.send({ type: "values", values }, [payload]);
  };
}

function invoke(
  run: Handler,
  queued: Queued,
  segments: readonly Uint8Array[],
  running: RunningInput,
): unknown {
  const args = decodeSegments(segments);
  if (program !== undefined && isWebInput(program, args)) {
    const { web: wish = "unwanted", cameAtMs } = queued;
    return webInputs.answer({ running, request: args, wish, cameAtMs }, run);
  }
  if (!Array.isArray(args)) throw new TypeError("the input is not a list of arguments");
  return run(...(args as readonly unknown[]));
}

/** The promise, or the first error that nobody in the user's code handled meanwhile. */
async function orUncaught(promise: Promise<unknown>, input: RunningInput): Promise<unknown> {
  const uncaught = new Promise<never>((_, reject) => {
    input.fail = reject;
  });
  try {
    return await Promise.race([promise, uncaught]);
  } finally {
    input.fail = undefined;
  }
}

/** An error outside any input is printed; inside one it is that input's. */
function fail(thrown: unknown): void {
  const failPresent = running.present?.fail;
  if (failPresent !== undefined) {
    failPresent(thrown);
    return;
  }
  print(thrown);
}

function print(thrown: unknown): void {
  const wire = wireErrorOf(thrown);
  output.write("stderr", Buffer.from(`Uncaught ${wire.stack ?? wire.message}\n`));
}

function giveBack(inputIds: ReadonlySet<string>): void {
  for (const [position, { inputId }] of [...queue.entries()].reverse()) {
    if (!inputIds.has(inputId)) continue;
    queue.splice(position, 1);
    results.push({ inputId, outcome: "returned", bytes: 0, runMs: 0 });
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

/** Answers of one turn leave together. */
function scheduleFlush(): void {
  if (flushScheduled) return;
  flushScheduled = true;
  setImmediate(() => {
    flushScheduled = false;
    flush();
  });
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

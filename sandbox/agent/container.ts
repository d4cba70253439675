/**
 * One container on this node: started, fed, watched and ended.
 *
 * Inputs are forwarded to the runner as they come and begin there in order, so the oldest without
 * a result are those that run. Each ends as a result or is named in the container's exit.
 */
import { randomBytes } from "node:crypto";
import { messageOf } from "../../core/index.ts";
import { encodeFrame, type Frame, type WireError } from "../../sdk/protocol/index.ts";
import type {
  FromRunner,
  InputHeader,
  ReadyMessage,
  RunnerResult,
  ToRunner,
  ValueHeader,
} from "../runners/protocol.ts";
import { memoryMaxMiB } from "../runtime/limits.ts";
import type { RunningSandbox, SandboxExit, SandboxSpec } from "../runtime/runtime.ts";
import { ENTROPY_BYTES, loadMessageOf, type EnteredSandbox } from "../snapshots/snapshots.ts";
import { ContainerImage } from "./container-image.ts";
import type { ContainerOptions } from "./container-options.ts";
import { ContainerRequests } from "./container-requests.ts";
import { ownLines, ownResults, ownValues } from "./own-answers.ts";
import { bootMessageOf, environmentOf, sandboxSpecOf } from "./sandbox-spec.ts";
import { AbortedInputs } from "./aborted-inputs.ts";
import { FirstWord, isOfStart, type StartMessage } from "./first-word.ts";
import { judge, type EndOfContainer } from "./blame.ts";
import { ContainerShells } from "./container-shells.ts";
import { ContainerStreams } from "./container-streams.ts";
import type { AgentResult, HeldContainer, StartContainer } from "./link.ts";
import { ContainerLog, LINE_CHARACTERS_MAX, type LogLine } from "./container-log.ts";
import { HeldInputs } from "./held-inputs.ts";
import { LastWords } from "./last-words.ts";
import { LineSplitter } from "./line-splitter.ts";
import { maskOf } from "./mask.ts";
import { ReadPace } from "./read-pace.ts";
import { readRunner } from "./read-runner.ts";
import { sendWhole } from "./send-whole.ts";
import { stagesOf } from "./start-stages.ts";
import { saidUse, UseMeter, type ExtraUse } from "./use-meter.ts";

/** How much later than its limit an input is ended: results that are on their way arrive first. */
const TIMEOUT_SLACK_MS = 100;
/** How long one of single use may take to leave. */
const LEAVE_MS = 30_000;
const NOTHING = new Uint8Array(0);
/** What is read of a container: its printing waits beyond, whatever becomes of the lines. */
const OUTPUT_BYTES_PER_SECOND_MAX = 16 * 1024 * 1024;
const NEVER_STARTED: SandboxExit = { exitCode: undefined, signal: undefined, outOfMemory: false };

export class Container {
  readonly #options: ContainerOptions;
  readonly #log: ContainerLog;
  /** Hides the values of secrets in what is printed. */
  readonly #lastWords: LastWords;
  readonly #receivedAtMs: number;
  /** Inputs without a result. */
  readonly #inputs: HeldInputs;
  readonly #requests: ContainerRequests;
  readonly #image = new ContainerImage();
  readonly #use: UseMeter;
  readonly #firstWord = new FirstWord();
  #sandbox: RunningSandbox | undefined;
  #ready = false;
  #restored = false;
  #imageMs = 0;
  #ordered: EndOfContainer["ordered"];
  #loadError: WireError | undefined;
  #announced: EndOfContainer["announced"];
  #fault: string | undefined;
  #ended = false;
  /** It was for a single input, and has got it. */
  #isUsed = false;
  /** It said that it has exit hooks. */
  #leaves = false;
  /** When it is killed, if it has not ended by itself. */
  #killAtMs = Infinity;
  readonly #aborted: AbortedInputs;
  /** The byte streams of its inputs. */
  readonly streams: ContainerStreams;
  readonly shells: ContainerShells;

  constructor(options: ContainerOptions) {
    this.#options = options;
    this.#receivedAtMs = options.clock.nowMs();
    const { containerId, maxInputs = 1, env, secretNames = [] } = options.start;
    this.#inputs = new HeldInputs(maxInputs);
    this.#aborted = new AbortedInputs(maxInputs);
    this.#use = new UseMeter(options.start);
    const toRunner = (message: ToRunner, body: Uint8Array): void => this.#send(message, body);
    const answer = (message: ToRunner, body: Uint8Array): Promise<void> =>
      sendWhole(this.#sandbox?.channel, message, body);
    this.#requests = new ContainerRequests({ ...options, containerId, send: answer });
    this.streams = new ContainerStreams({
      holds: (inputId) => this.#inputs.has(inputId),
      toRunner,
      toServer: (...piece) => options.reports.stream(containerId, ...piece),
    });
    this.shells = new ContainerShells({
      sandbox: () => this.#sandbox,
      environment: () => this.#environment,
      send: (...piece) => options.reports.stream(containerId, ...piece),
      note: (text) => this.#log.add([{ stream: "stderr", text }]),
    });
    const mask = maskOf(secretNames.map((name) => env[name] ?? ""));
    this.#lastWords = new LastWords(mask);
    const send = (lines: readonly LogLine[]): void => options.reports.logs(containerId, lines);
    this.#log = new ContainerLog(options.clock, send, mask);
  }

  get spec(): StartContainer {
    return this.#options.start;
  }

  /** Its code is loaded. */
  get isReady(): boolean {
    return this.#ready;
  }

  /** What it has used beyond what is reserved for it. */
  get use(): ExtraUse {
    return this.#use.extra;
  }

  get held(): HeldContainer {
    const { containerId, functionId, cards = [], volumes = [] } = this.#options.start;
    const state = this.#ready ? "ready" : "starting";
    const isSlow = this.#leaves || volumes.length > 0;
    const ends = isSlow ? { endsSlowly: true } : {};
    return { containerId, functionId, state, cards, ...ends, inputIds: this.#inputs.ids };
  }

  /** Starts the sandbox and runs it to its end; resolves when it is gone and reported. */
  async run(): Promise<void> {
    const { start, loadCode } = this.#options;
    // Handled at once: the sandbox may fail first, and then nobody waits for the code.
    const loading = loadCode(start.codeSha256).then(
      (code) => ({ code }),
      (error: unknown) => ({ error }),
    );
    const exit = await this.#runSandbox(loading);
    // What it left in its volumes is committed before anybody hears that it has ended.
    await this.#image.release();
    this.#end(exit);
  }

  async #runSandbox(
    loading: Promise<{ readonly code: Uint8Array } | { readonly error: unknown }>,
  ): Promise<SandboxExit> {
    if (!(await this.#openImage())) return NEVER_STARTED;
    this.#imageMs = this.#options.clock.nowMs() - this.#receivedAtMs;
    const restored = await this.#restore();
    if (restored !== undefined) return this.#adopt(restored);
    if (this.#isEnding()) return NEVER_STARTED;
    try {
      this.#sandbox = await this.#options.runtime.start(this.#sandboxSpec);
    } catch (error) {
      this.#fault = messageOf(error);
      return NEVER_STARTED;
    }
    const sandbox = this.#sandbox;
    this.#connect(sandbox);
    if (this.#isEnding()) sandbox.kill();
    void loading.then((loaded) => {
      if ("code" in loaded) this.#boot(loaded.code);
      else this.#giveUp(sandbox, messageOf(loaded.error));
    });
    return sandbox.exited;
  }

  /** Gets what it runs in; false when it is not to start. */
  async #openImage(): Promise<boolean> {
    const { openFiles } = this.#options;
    if (openFiles === undefined) return true;
    const note = (text: string): void => this.#log.add([{ stream: "stderr", text }]);
    try {
      await this.#image.open(openFiles, { onLost: (why) => this.#filesLost(why), note });
    } catch (error) {
      this.#fault = messageOf(error);
      return false;
    }
    return !this.#isEnding();
  }

  /** Hands inputs to the runner, in order. `body` holds their payloads. */
  push(inputs: readonly InputHeader[], body: Uint8Array): void {
    const inputIds = inputs.map(({ inputId }) => inputId);
    this.#inputs.add(inputIds, this.#options.clock.nowMs());
    // What comes after the only input is named in the exit, and runs elsewhere.
    if (this.#isUsed) return;
    this.#isUsed = this.#options.start.singleUse === true;
    this.#aborted.note(inputs);
    this.#send({ type: "inputs", inputs }, body);
  }

  /** The reader of a generator's values has those before this position. */
  credit(inputId: string, consumed: number): void {
    if (this.#inputs.has(inputId)) this.#send({ type: "credit", inputId, consumed });
  }

  /**
   * Gives back what has not begun. With `abortRunning` those that run are told to stop, and the
   * container is ended if one of them still runs half a second later.
   */
  cancel(inputIds: readonly string[], abortRunning: boolean): void {
    this.#send({ type: "cancel", inputIds });
    const running = inputIds.filter((inputId) => this.#inputs.isRunning(inputId));
    if (!abortRunning || running.length === 0) return;
    this.#send({ type: "abort", inputIds: running });
    this.#aborted.tell(running, this.#options.clock.nowMs());
  }

  /**
   * Ends the container; what it has not answered is named in its exit. One with exit hooks has
   * `graceMs` for them.
   */
  stop(graceMs = 0): void {
    if (!this.#leaves || graceMs === 0) {
      this.#kill("stop");
      return;
    }
    // It may be told more than once, after a broken link: it leaves once.
    if (this.#ordered !== undefined) return;
    this.#ordered = "stop";
    this.#killAtMs = this.#options.clock.nowMs() + graceMs;
    this.#send({ type: "leave" });
  }

  /** Ends the container when an input, its start or its end has taken too long. */
  checkTimeouts(nowMs: number): void {
    if (nowMs >= this.#killAtMs) this.#kill("stop");
    if (this.#aborted.isOverdue(nowMs)) this.#kill("stop");
    const { start } = this.#options;
    if (!this.#ready && nowMs - this.#receivedAtMs > start.startupTimeoutMs)
      this.#kill("startup_timeout");
    const fault = this.#firstWord.faultAt(nowMs);
    if (fault !== undefined && this.#sandbox !== undefined) this.#giveUp(this.#sandbox, fault);
    const overdue = this.#inputs.longestRunMs(nowMs) > start.timeoutMs + TIMEOUT_SLACK_MS;
    if (this.#ready && overdue) this.#kill("timeout");
  }

  /** Looks at what it uses now. */
  measure(nowMs: number): void {
    const use = this.#sandbox?.use?.();
    if (use !== undefined) this.#use.note(nowMs, use);
  }

  /** Somebody has ordered its end. */
  #isEnding(): boolean {
    return this.#ordered !== undefined;
  }

  #kill(why: NonNullable<EndOfContainer["ordered"]>): void {
    this.#ordered ??= why;
    // Without a sandbox it may wait for its image.
    if (this.#sandbox === undefined) void this.#image.release();
    else this.#sandbox.kill();
  }

  /** None of its inputs is to blame: they run again. */
  #filesLost(why: string): void {
    this.#fault ??= why;
    this.#kill("stop");
  }

  #giveUp(sandbox: RunningSandbox, fault: string): void {
    this.#fault ??= fault;
    sandbox.kill();
  }

  /** Starts it from an image of memory, where that can be. */
  async #restore(): Promise<EnteredSandbox | undefined> {
    const { start, snapshots } = this.#options;
    if (start.snapshotId === undefined || snapshots === undefined) return undefined;
    return snapshots.restore(start, this.#sandboxSpec, this.#environment);
  }

  /** Goes on with a sandbox whose runner has already said something. */
  async #adopt({ sandbox, heard }: EnteredSandbox): Promise<SandboxExit> {
    this.#sandbox = sandbox;
    this.#restored = true;
    this.#connect(sandbox, heard);
    if (this.#ordered !== undefined) sandbox.kill();
    return sandbox.exited;
  }

  #connect(sandbox: RunningSandbox, heard: readonly Uint8Array[] = []): void {
    readRunner(sandbox, heard, {
      onFrame: (frame) => this.#receive(frame),
      onBroken: (why) => this.#giveUp(sandbox, why),
    });
    this.#follow(sandbox, "stdout");
    this.#follow(sandbox, "stderr");
  }

  get #sandboxSpec(): SandboxSpec {
    const { start, runtime } = this.#options;
    return sandboxSpecOf(start, runtime.isolation, this.#image.current);
  }

  get #environment(): Readonly<Record<string, string>> {
    return environmentOf(this.#options.start, this.#options.runtime.isolation);
  }

  #boot(code: Uint8Array): void {
    const { start, params = NOTHING } = this.#options;
    // As in a restored container: the code is loaded before it has an environment.
    const isKept = start.snapshotId !== undefined;
    const message = isKept
      ? loadMessageOf({ start, params })
      : bootMessageOf({ start, params, env: this.#environment });
    this.#send(message, code, params);
    this.#firstWord.asked(this.#options.clock.nowMs());
  }

  /** Its code is loaded, in the first half of a start. */
  #loaded(obstacle: string | undefined): void {
    if (obstacle !== undefined) {
      const text = `flotilla: no memory snapshot of this function is kept: ${obstacle}`;
      this.#log.add([{ stream: "stderr", text }]);
    }
    this.#send({ type: "enter", env: this.#environment }, randomBytes(ENTROPY_BYTES));
  }

  /** What is printed past the runner: by child processes, or by Node when it dies. */
  #follow(sandbox: RunningSandbox, stream: "stdout" | "stderr"): void {
    const splitter = new LineSplitter(LINE_CHARACTERS_MAX);
    const output = sandbox[stream];
    const pace = new ReadPace(output, OUTPUT_BYTES_PER_SECOND_MAX);
    output.on("data", (chunk: Uint8Array) => {
      this.#printed(stream, splitter.push(chunk));
      pace.count(chunk.byteLength);
    });
    output.on("end", () => {
      const last = splitter.end();
      if (last !== undefined) this.#printed(stream, [last]);
    });
    // Output that cannot be read is output that has ended.
    output.on("error", () => undefined);
  }

  #printed(stream: "stdout" | "stderr", texts: readonly string[]): void {
    if (stream === "stderr") this.#lastWords.note(texts);
    if (texts.length > 0) this.#log.add(texts.map((text) => ({ stream, text })));
  }

  #receive({ header, body }: Frame<FromRunner>): void {
    this.#firstWord.heard();
    if (isOfStart(header)) {
      this.#start(header);
      return;
    }
    switch (header.type) {
      case "results":
        this.#results(header.results, body);
        return;
      case "values":
        this.#values(header.values, body);
        return;
      case "logs":
        this.#log.add(
          ownLines(header.lines, (inputId) => this.#inputs.has(inputId)),
          header.droppedBytes,
        );
        return;
      case "stream":
        this.streams.fromRunner(header.streamId, header.piece, body);
        return;
      case "request":
      case "request_cancel":
        this.#request(header, body);
        return;
      case "exiting":
        this.#announced = header;
    }
  }

  /** What it says before its first input; from "entered" it goes on to "ready" by itself. */
  #start(header: StartMessage): void {
    if (header.type === "loaded") this.#loaded(header.obstacle);
    if (header.type === "ready") this.#becomeReady(header);
    if (header.type !== "load_failed") return;
    this.#loadError = header.error;
    this.#sandbox?.kill();
  }

  #request(
    header: Extract<FromRunner, { type: "request" | "request_cancel" }>,
    body: Uint8Array,
  ): void {
    if (header.type === "request") this.#requests.begin(header.requestId, { ...header, body });
    else this.#requests.cancel(header.requestId);
  }

  /** Values of inputs that this container does not have are nobody's. */
  #values(values: readonly ValueHeader[], body: Uint8Array): void {
    const { containerId } = this.#options.start;
    const own = ownValues(values, body, (inputId) => this.#inputs.has(inputId));
    if (own.values.length > 0) this.#options.reports.values(containerId, own.values, own.payloads);
  }

  #becomeReady(header: ReadyMessage): void {
    if (this.#ready) return;
    this.#ready = true;
    this.#image.started();
    this.#leaves = header.leaves ?? false;
    const nowMs = this.#options.clock.nowMs();
    this.#inputs.restart(nowMs);
    const { containerId } = this.#options.start;
    const startMs = nowMs - this.#receivedAtMs;
    const stages = stagesOf(startMs, this.#imageMs, this.#restored, header);
    this.#options.reports.ready(containerId, startMs, this.#restored, stages);
    this.#considerSnapshot();
  }

  #considerSnapshot(): void {
    const { start, params = NOTHING, openFiles, snapshots } = this.#options;
    if (start.snapshotId === undefined || this.#restored) return;
    snapshots?.consider({ start, params, ...(openFiles && { openFiles }) }, this.#sandboxSpec);
  }

  #results(results: readonly RunnerResult[], body: Uint8Array): void {
    const own = ownResults(results, body, (inputIds) =>
      this.#inputs.remove(inputIds, this.#options.clock.nowMs()),
    );
    const { containerId } = this.#options.start;
    this.#aborted.forget(own.results.map(({ inputId }) => inputId));
    if (own.results.length === 0) return;
    this.#options.reports.results(containerId, own.results, own.payloads);
    if (this.#isUsed) this.stop(LEAVE_MS);
  }

  #send(message: ToRunner, ...bodies: readonly Uint8Array[]): void {
    const channel = this.#sandbox?.channel;
    if (channel?.writable !== true) return;
    channel.write(encodeFrame(message, bodies));
  }

  #end(exit: SandboxExit): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#requests.close();
    this.shells.close("the container ended");
    const { start, reports } = this.#options;
    const { kind, message, blamed } = judge({
      exit,
      ordered: this.#ordered,
      wasReady: this.#ready,
      loadError: this.#loadError,
      announced: this.#announced,
      inputIds: this.#inputs.ids,
      timeoutMs: start.timeoutMs,
      startupTimeoutMs: start.startupTimeoutMs,
      memoryMiB: memoryMaxMiB(start),
      reservedMiB: start.resources.memoryMiB,
      ...this.#lastWords.heard,
      fault: this.#fault,
    });
    this.#log.end();
    if (blamed !== undefined && this.#inputs.has(blamed.inputId)) {
      const result = this.#failureOf(blamed.inputId, blamed.error);
      reports.results(start.containerId, [result], [new Uint8Array(0)]);
    }
    reports.exited({
      containerId: start.containerId,
      kind,
      message,
      inputIds: this.#inputs.ids,
      ...saidUse(this.use),
      ...(exit.exitCode === undefined ? {} : { exitCode: exit.exitCode }),
      ...(this.#loadError === undefined ? {} : { error: this.#loadError }),
    });
  }

  /** An input fails with its container. */
  #failureOf(inputId: string, error: WireError): AgentResult {
    const times = this.#inputs.end(inputId, this.#options.clock.nowMs());
    return { inputId, outcome: "failed", bytes: 0, error, ...times };
  }
}

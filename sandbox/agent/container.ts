/**
 * One container on this node: started, fed, watched and ended.
 *
 * Inputs are forwarded to the runner as they come and run there in order, so the oldest without
 * a result is the one that runs. Each ends as a result or is named in the container's exit.
 */
import { createInterface } from "node:readline";
import { messageOf, type Clock } from "../../core/index.ts";
import {
  encodeFrame,
  FrameDecoder,
  PAYLOAD_BYTES_MAX,
  splitBody,
  type Frame,
  type WireError,
} from "../../sdk/protocol/index.ts";
import type { FromRunner, RunnerResult, ToRunner } from "../runners/protocol.ts";
import type { RunningSandbox, Runtime, SandboxExit } from "../runtime/runtime.ts";
import { judge, type EndOfContainer } from "./blame.ts";
import type { AgentResult, ContainerExit, HeldContainer, StartContainer } from "./link.ts";
import { ContainerLog, type LogLine } from "./container-log.ts";

/** Where a container reports. */
export interface ContainerReports {
  ready(containerId: string, startMs: number): void;
  results(
    containerId: string,
    results: readonly AgentResult[],
    payloads: readonly Uint8Array[],
  ): void;
  logs(containerId: string, lines: readonly LogLine[]): void;
  exited(exit: ContainerExit): void;
}

export interface ContainerOptions {
  readonly start: StartContainer;
  readonly runtime: Runtime;
  readonly loadCode: (sha256: string) => Promise<Uint8Array>;
  readonly reports: ContainerReports;
  readonly clock: Clock;
}

/** How much later than its limit an input is ended: results that are on their way arrive first. */
const TIMEOUT_SLACK_MS = 100;

export class Container {
  readonly #options: ContainerOptions;
  readonly #log: ContainerLog;
  readonly #receivedAtMs: number;
  /** Inputs without a result, oldest first. */
  readonly #inputIds = new Set<string>();
  #headSinceMs = 0;
  #sandbox: RunningSandbox | undefined;
  #ready = false;
  #ordered: EndOfContainer["ordered"];
  #loadError: WireError | undefined;
  #announced: EndOfContainer["announced"];
  #lastWords = "";
  #ended = false;

  constructor(options: ContainerOptions) {
    this.#options = options;
    this.#receivedAtMs = options.clock.nowMs();
    const { containerId } = options.start;
    this.#log = new ContainerLog(options.clock, (lines) => {
      options.reports.logs(containerId, lines);
    });
  }

  get spec(): StartContainer {
    return this.#options.start;
  }

  get held(): HeldContainer {
    const { containerId, functionId } = this.#options.start;
    const state = this.#ready ? "ready" : "starting";
    return { containerId, functionId, state, inputIds: [...this.#inputIds] };
  }

  /** Starts the sandbox and runs it to its end; resolves when it is gone and reported. */
  async run(): Promise<void> {
    const { start, runtime, loadCode } = this.#options;
    let exit: SandboxExit;
    try {
      const { containerId, resources } = start;
      const env = { PATH: "/bin", HOME: "/tmp", TMPDIR: "/tmp" };
      const [code, sandbox] = await Promise.all([
        loadCode(start.codeSha256),
        runtime.start({ containerId, resources, env }),
      ]);
      this.#sandbox = sandbox;
      if (this.#ordered !== undefined) sandbox.kill();
      this.#connect(sandbox, code);
      exit = await sandbox.exited;
    } catch (error) {
      this.#lastWords = messageOf(error);
      this.#sandbox?.kill();
      await this.#sandbox?.exited;
      exit = { exitCode: undefined, signal: undefined, outOfMemory: false };
    }
    this.#end(exit);
  }

  /** Hands inputs to the runner, in order. `body` holds their payloads. */
  push(inputs: readonly { readonly inputId: string; readonly bytes: number }[], body: Uint8Array) {
    if (this.#inputIds.size === 0) this.#headSinceMs = this.#options.clock.nowMs();
    for (const { inputId } of inputs) this.#inputIds.add(inputId);
    this.#send({ type: "inputs", inputs }, body);
  }

  /** Gives back what has not begun, and ends the container if one of these runs. */
  cancel(inputIds: readonly string[], abortRunning: boolean): void {
    const [running] = this.#inputIds;
    this.#send({ type: "cancel", inputIds });
    if (abortRunning && running !== undefined && inputIds.includes(running)) this.stop();
  }

  /** Ends the container; what it has not answered is named in its exit. */
  stop(): void {
    this.#kill("stop");
  }

  /** Ends the container when its running input, or its start, has taken too long. */
  checkTimeouts(nowMs: number): void {
    const { start } = this.#options;
    const startingMs = nowMs - this.#receivedAtMs;
    if (!this.#ready && startingMs > start.startupTimeoutMs) this.#kill("startup_timeout");
    const runningMs = nowMs - this.#headSinceMs;
    const overdue = runningMs > start.timeoutMs + TIMEOUT_SLACK_MS;
    if (this.#ready && this.#inputIds.size > 0 && overdue) this.#kill("timeout");
  }

  #kill(why: NonNullable<EndOfContainer["ordered"]>): void {
    this.#ordered ??= why;
    this.#sandbox?.kill();
  }

  #connect(sandbox: RunningSandbox, code: Uint8Array): void {
    const decoder = new FrameDecoder<FromRunner>();
    sandbox.channel.on("data", (chunk) => {
      try {
        for (const frame of decoder.push(chunk)) this.#receive(frame);
      } catch (error) {
        // A broken runner harms nobody but itself.
        this.#lastWords = `its runner broke the protocol: ${messageOf(error)}`;
        sandbox.kill();
      }
    });
    // The end of the channel is the end of the container, which `exited` tells.
    sandbox.channel.on("error", () => undefined);
    this.#follow(sandbox, "stdout");
    this.#follow(sandbox, "stderr");
    const { functionName, appName, env, containerId } = this.#options.start;
    const own = { FLOTILLA_CONTAINER_ID: containerId, PATH: "/bin", HOME: "/tmp" };
    this.#send({ type: "boot", functionName, appName, env: { ...own, ...env } }, code);
  }

  /** What is printed past the runner: by child processes, or by Node when it dies. */
  #follow(sandbox: RunningSandbox, stream: "stdout" | "stderr"): void {
    createInterface({ input: sandbox[stream] }).on("line", (text) => {
      if (stream === "stderr" && text !== "") this.#lastWords = text.slice(0, 500);
      this.#log.add([{ stream, text }]);
    });
  }

  #receive({ header, body }: Frame<FromRunner>): void {
    switch (header.type) {
      case "ready":
        this.#ready = true;
        this.#headSinceMs = this.#options.clock.nowMs();
        this.#options.reports.ready(
          this.#options.start.containerId,
          this.#options.clock.nowMs() - this.#receivedAtMs,
        );
        return;
      case "load_failed":
        this.#loadError = header.error;
        this.#sandbox?.kill();
        return;
      case "results":
        this.#results(header.results, body);
        return;
      case "logs":
        this.#log.add(header.lines, header.droppedBytes);
        return;
      case "exiting":
        this.#announced = header;
    }
  }

  #results(results: readonly RunnerResult[], body: Uint8Array): void {
    const payloads = splitBody(
      body,
      results.map((result) => result.bytes),
    );
    const known = results.flatMap((result, position) => {
      if (!this.#inputIds.delete(result.inputId)) return [];
      return [checkSize(result, payloads[position] ?? new Uint8Array(0))];
    });
    this.#headSinceMs = this.#options.clock.nowMs();
    this.#options.reports.results(
      this.#options.start.containerId,
      known.map(({ result }) => result),
      known.map(({ payload }) => payload),
    );
  }

  #send(message: ToRunner, body?: Uint8Array): void {
    const channel = this.#sandbox?.channel;
    if (channel?.writable !== true) return;
    channel.write(encodeFrame(message, body === undefined ? [] : [body]));
  }

  #end(exit: SandboxExit): void {
    if (this.#ended) return;
    this.#ended = true;
    const { start, reports } = this.#options;
    const { kind, message, blamed } = judge({
      exit,
      ordered: this.#ordered,
      wasReady: this.#ready,
      loadError: this.#loadError,
      announced: this.#announced,
      inputIds: [...this.#inputIds],
      timeoutMs: start.timeoutMs,
      startupTimeoutMs: start.startupTimeoutMs,
      memoryMiB: start.resources.memoryMiB,
      lastWords: this.#lastWords,
    });
    this.#log.end();
    if (blamed !== undefined && this.#inputIds.delete(blamed.inputId)) {
      const { inputId, error } = blamed;
      const runMs = this.#options.clock.nowMs() - this.#headSinceMs;
      const result: AgentResult = { inputId, outcome: "failed", bytes: 0, error, runMs };
      reports.results(start.containerId, [result], [new Uint8Array(0)]);
    }
    reports.exited({
      containerId: start.containerId,
      kind,
      message,
      inputIds: [...this.#inputIds],
      ...(exit.exitCode === undefined ? {} : { exitCode: exit.exitCode }),
      ...(this.#loadError === undefined ? {} : { error: this.#loadError }),
    });
  }
}

function checkSize(
  result: RunnerResult,
  payload: Uint8Array,
): { readonly result: AgentResult; readonly payload: Uint8Array } {
  if (result.bytes <= PAYLOAD_BYTES_MAX) return { result, payload };
  const error: WireError = {
    name: "PayloadTooLargeError",
    message:
      `the result has ${result.bytes} bytes, more than the ${PAYLOAD_BYTES_MAX} that one may ` +
      "have; give large data back by reference",
    code: "payload_too_large",
  };
  return {
    result: { ...result, outcome: "failed", bytes: 0, error },
    payload: new Uint8Array(0),
  };
}

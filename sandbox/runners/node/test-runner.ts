/** The runner as a process of its own, with the agent's end of it in a test's hands. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { encodeFrame, encodeValue, FrameDecoder, splitBody } from "../../../sdk/protocol/index.ts";
import { createProcessRuntime } from "../../runtime/process.ts";
import type { RunningSandbox, SandboxExit } from "../../runtime/runtime.ts";
import { bundleRunner } from "../bundle-runner.ts";
import { HOOK } from "./sdk-hook.ts";
import type { FromRunner, RunnerLine, RunnerResult, ToRunner } from "../protocol.ts";

export interface Answer extends RunnerResult {
  readonly payload: Uint8Array;
}

/** A value that a generator yielded. */
export interface GivenValue {
  readonly inputId: string;
  readonly sequence: number;
  readonly payload: Uint8Array;
}

export class TestRunner {
  readonly messages: FromRunner[] = [];
  readonly answers: Answer[] = [];
  readonly values: GivenValue[] = [];
  readonly exited: Promise<SandboxExit>;
  stdout = "";
  stderr = "";
  readonly #sandbox: RunningSandbox;
  readonly #waiting = new Set<() => void>();
  #isGone = false;
  #refusal: { readonly status: number; readonly text: string } | undefined;

  constructor(sandbox: RunningSandbox) {
    this.#sandbox = sandbox;
    this.exited = sandbox.exited;
    const decoder = new FrameDecoder<FromRunner>();
    sandbox.channel.on("data", (chunk: Uint8Array) => {
      for (const { header, body } of decoder.push(chunk)) this.#take(header, body);
      this.#wake();
    });
    // The end of the channel is the end of the process.
    sandbox.channel.on("error", () => undefined);
    sandbox.stdout.on("data", (chunk: Buffer) => (this.stdout += chunk.toString()));
    sandbox.stderr.on("data", (chunk: Buffer) => (this.stderr += chunk.toString()));
    void sandbox.exited.then(() => {
      this.#isGone = true;
      this.#wake();
    });
  }

  /** The agent's end of the channel. */
  get channel(): Duplex {
    return this.#sandbox.channel;
  }

  /** Lines that came over the channel, in order. */
  get lines(): readonly RunnerLine[] {
    return this.messages.flatMap((message) => (message.type === "logs" ? message.lines : []));
  }

  say(message: ToRunner, bodies: readonly Uint8Array[] = []): void {
    this.#sandbox.channel.write(encodeFrame(message, bodies));
  }

  /** Boots a module that exports `functionName`, and waits until it is loaded or is not. */
  async boot(
    functionName: string,
    source: string,
    env: Readonly<Record<string, string>> = {},
    maxInputs = 1,
  ): Promise<FromRunner> {
    this.bootWithout(functionName, HOOK + source, env, maxInputs);
    return this.hear((message) => message.type === "ready" || message.type === "load_failed");
  }

  /** Boots a module as it is. */
  bootWithout(
    functionName: string,
    source: string,
    env: Readonly<Record<string, string>> = {},
    maxInputs = 1,
  ): void {
    const boot = { type: "boot", functionName, appName: "app", env, maxInputs } as const;
    this.say(boot, [Buffer.from(source)]);
  }

  /** Hands it inputs, each with its one argument; with `skip` their values are read. */
  give(inputs: Readonly<Record<string, unknown>>, options: { readonly skip?: number } = {}): void {
    const payloads = Object.values(inputs).map((argument) => encodeValue([argument]));
    const named = Object.keys(inputs).map((inputId, position) => {
      return { inputId, bytes: payloads[position]?.byteLength ?? 0, ...options };
    });
    this.say({ type: "inputs", inputs: named }, payloads);
  }

  /** The answer of an input, once it is there. */
  async answer(inputId: string): Promise<Answer> {
    const find = (): Answer | undefined => this.answers.find((one) => one.inputId === inputId);
    await this.#until(() => find() !== undefined, `an answer of ${inputId}`);
    const answer = find();
    if (answer === undefined) throw new Error(`the answer of ${inputId} is gone`);
    return answer;
  }

  /** So many values of an input, once they are there. */
  async valuesOf(inputId: string, count: number): Promise<readonly GivenValue[]> {
    const find = (): GivenValue[] => this.values.filter((one) => one.inputId === inputId);
    await this.#until(() => find().length >= count, `${count} values of ${inputId}`);
    return find();
  }

  /** Answers every request to the server, those that came before too, with this status and text. */
  refuse(status: number, text: string): void {
    this.#refusal = { status, text };
    for (const message of this.messages) this.#answerRequest(message);
  }

  /** The first message that is as wanted, once it is there. */
  async hear(wanted: (message: FromRunner) => boolean): Promise<FromRunner> {
    await this.#until(() => this.messages.some(wanted), "a message");
    const message = this.messages.find(wanted);
    if (message === undefined) throw new Error("the message is gone");
    return message;
  }

  async end(): Promise<void> {
    if (!this.#isGone) this.#sandbox.kill();
    await this.exited;
  }

  #take(message: FromRunner, body: Uint8Array): void {
    this.messages.push(message);
    this.#answerRequest(message);
    if (message.type === "results") this.answers.push(...withPayloads(message.results, body));
    if (message.type === "values") this.values.push(...withPayloads(message.values, body));
  }

  #answerRequest(message: FromRunner): void {
    if (message.type !== "request" || this.#refusal === undefined) return;
    const { status, text } = this.#refusal;
    this.say({ type: "response", requestId: message.requestId, status }, [Buffer.from(text)]);
  }

  async #until(isSo: () => boolean, what: string): Promise<void> {
    while (!isSo()) {
      if (this.#isGone) throw new Error(`the runner ended before ${what}: ${this.stderr}`);
      const { promise, resolve } = Promise.withResolvers<undefined>();
      const wake = (): void => resolve(undefined);
      this.#waiting.add(wake);
      await promise;
      this.#waiting.delete(wake);
    }
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }
}

function withPayloads<Header extends { readonly bytes: number }>(
  headers: readonly Header[],
  body: Uint8Array,
): readonly (Header & { readonly payload: Uint8Array })[] {
  const sizes = headers.map(({ bytes }) => bytes);
  const payloads = splitBody(body, sizes);
  return headers.map((header, position) => {
    return { ...header, payload: payloads[position] ?? new Uint8Array(0) };
  });
}

const RESOURCES = { gpuCount: 0, cpuMilli: 500, memoryMiB: 512 };

/** The runner of the test that runs. */
export interface RunnerUnderTest {
  readonly runner: TestRunner;
  /** Where the runner keeps the bundle of its function. */
  readonly bundleDir: string;
}

/** Starts a runner before each test of a file and ends it after. */
export function useTestRunner(): RunnerUnderTest {
  let runner: TestRunner;
  let bundleDir = "";
  let runnersDir: string | undefined;
  let runnerDir = "";
  let dir = "";
  let started = 0;

  beforeAll(async () => {
    runnersDir = await mkdtemp(join(tmpdir(), "flotilla-runners-"));
    runnerDir = await bundleRunner(runnersDir);
  });

  afterAll(async () => {
    // The folder that was made here and no other: where nothing was made nothing is removed.
    if (runnersDir !== undefined) await rm(runnersDir, { recursive: true });
  });

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "flotilla-runner-"));
    started += 1;
    const containerId = `co_${started}`;
    const runtime = createProcessRuntime({ dir, runnerDir });
    const spec = { containerId, resources: RESOURCES, env: { PATH: "/bin" } };
    runner = new TestRunner(await runtime.start(spec));
    bundleDir = join(dir, "bundles", containerId);
  });

  afterEach(async () => {
    await runner.end();
    await rm(dir, { recursive: true });
  });

  return {
    get runner() {
      return runner;
    },
    get bundleDir() {
      return bundleDir;
    },
  };
}

/** A runtime that starts nothing: tests play the part of the runner. */
import { duplexPair, PassThrough, type Duplex } from "node:stream";
import { assert, type Isolation } from "../../core/index.ts";
import { encodeFrame, FrameDecoder, type Frame } from "../../sdk/protocol/index.ts";
import type { FromRunner, ToRunner } from "../runners/protocol.ts";
import type {
  MemoryImages,
  RunningSandbox,
  Runtime,
  SandboxExit,
  SandboxSpec,
} from "../runtime/runtime.ts";

/** One sandbox, with the runner's end of it in the test's hands. */
export class FakeSandbox implements RunningSandbox {
  readonly spec: SandboxSpec;
  readonly channel: Duplex;
  readonly stdout = new PassThrough();
  readonly stderr = new PassThrough();
  readonly exited: Promise<SandboxExit>;
  /** What the runner was told, in order. */
  readonly told: Frame<ToRunner>[] = [];
  kills = 0;
  readonly #runner: Duplex;
  readonly #end: (exit: SandboxExit) => void;

  constructor(spec: SandboxSpec) {
    this.spec = spec;
    [this.channel, this.#runner] = duplexPair();
    const { promise, resolve } = Promise.withResolvers<SandboxExit>();
    this.exited = promise;
    this.#end = resolve;
    const decoder = new FrameDecoder<ToRunner>();
    this.#runner.on("data", (chunk: Uint8Array) => this.told.push(...decoder.push(chunk)));
  }

  /** A message of the runner. */
  say(message: FromRunner, bodies: readonly Uint8Array[] = []): void {
    this.sayBytes(encodeFrame(message, bodies));
  }

  /** Anything that user code may write to the channel. */
  sayBytes(bytes: Uint8Array): void {
    this.#runner.write(bytes);
  }

  /** Ends by itself. */
  end(exit: Partial<SandboxExit>): void {
    this.#end({ exitCode: undefined, signal: undefined, outOfMemory: false, ...exit });
  }

  kill(): void {
    this.kills += 1;
    this.end({ signal: "SIGKILL" });
  }
}

export class FakeRuntime implements Runtime {
  readonly isolation: Isolation = "gvisor";
  images: MemoryImages = { kind: "unsupported", reason: "this one is pretended" };
  readonly started: FakeSandbox[] = [];
  /** When set, the next start waits for it. */
  gate: Promise<void> = Promise.resolve();
  /** When set, starts fail with it. */
  failure: Error | undefined;

  async start(spec: SandboxSpec): Promise<RunningSandbox> {
    await this.gate;
    if (this.failure !== undefined) throw this.failure;
    const sandbox = new FakeSandbox(spec);
    this.started.push(sandbox);
    return sandbox;
  }

  /** The sandbox started last. */
  get last(): FakeSandbox {
    const sandbox = this.started.at(-1);
    assert(sandbox !== undefined, "no sandbox was started");
    return sandbox;
  }
}

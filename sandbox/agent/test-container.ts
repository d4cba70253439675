/** A container on fakes, and what it reported, for tests. */
import { FakeClock, settled } from "../fake/clock.ts";
import { FakeRuntime, type FakeSandbox } from "../fake/runtime.ts";
import type { ValueHeader } from "../runners/protocol.ts";
import type { Piece } from "../streams/piece.ts";
import { Container } from "./container.ts";
import type { ContainerOptions } from "./container-options.ts";
import type { LogLine } from "./container-log.ts";
import type { Relay } from "./call-relay.ts";
import type { AgentResult, ContainerExit, StartContainer } from "./link.ts";

export const START: StartContainer = {
  containerId: "co_1",
  functionId: "fn_1",
  functionName: "double",
  appName: "numbers",
  codeSha256: "c0de",
  resources: { gpuCount: 0, cpuMilli: 100, memoryMiB: 128 },
  env: { MODE: "test" },
  startupTimeoutMs: 5_000,
  timeoutMs: 1_000,
};

export const CODE = Uint8Array.from([1, 2, 3]);

/** A step of a stream on its way to the server. */
export interface ReportedPiece {
  readonly streamId: string;
  readonly piece: Piece;
  readonly body: Uint8Array;
}

export interface Reported {
  readonly ready: number[];
  readonly restored: boolean[];
  readonly results: AgentResult[];
  readonly payloads: Uint8Array[];
  readonly values: ValueHeader[];
  readonly pieces: ReportedPiece[];
  readonly lines: LogLine[];
  readonly exits: ContainerExit[];
}

export class TestContainer {
  readonly runtime = new FakeRuntime();
  readonly clock = new FakeClock();
  readonly reported: Reported = {
    ready: [],
    restored: [],
    results: [],
    payloads: [],
    values: [],
    pieces: [],
    lines: [],
    exits: [],
  };
  readonly container: Container;
  running: Promise<void> = Promise.resolve();
  /** Where its requests go; a test puts its own here. */
  relay: Relay = () => Promise.resolve({ status: 204, body: new Uint8Array(0) });

  constructor(
    loadCode: () => Promise<Uint8Array> = () => Promise.resolve(CODE),
    start: Partial<StartContainer> = {},
    params: Uint8Array = new Uint8Array(0),
    { openImage, snapshots }: Pick<ContainerOptions, "openImage" | "snapshots"> = {},
  ) {
    const { ready, restored, results, payloads, values, pieces, lines, exits } = this.reported;
    this.container = new Container({
      start: { ...START, ...start },
      params,
      ...(openImage === undefined ? {} : { openImage }),
      relay: (containerId, request, signal) => this.relay(containerId, request, signal),
      runtime: this.runtime,
      loadCode,
      clock: this.clock,
      ...(snapshots === undefined ? {} : { snapshots }),
      reports: {
        ready: (_, startMs, isRestored) => {
          ready.push(startMs);
          restored.push(isRestored);
        },
        results: (_, some, bytes) => {
          results.push(...some);
          payloads.push(...bytes);
        },
        values: (_, some, bytes) => {
          values.push(...some);
          payloads.push(...bytes);
        },
        stream: (_, streamId, piece, body) => pieces.push({ streamId, piece, body }),
        logs: (_, some) => lines.push(...some),
        exited: (exit) => exits.push(exit),
      },
    });
  }

  get sandbox(): FakeSandbox {
    return this.runtime.last;
  }

  /** Starts it; what is to happen of itself has happened. */
  async start(): Promise<void> {
    this.running = this.container.run();
    await settled();
  }

  /** Starts it, lets its code load and hands it inputs of one byte each. */
  async startWith(...inputIds: readonly string[]): Promise<void> {
    await this.start();
    this.sandbox.say({ type: "ready" });
    await settled();
    this.push(...inputIds);
    await settled();
  }

  push(...inputIds: readonly string[]): void {
    const inputs = inputIds.map((inputId) => ({ inputId, bytes: 1 }));
    this.container.push(inputs, Uint8Array.from(inputIds.map((_, position) => position)));
  }

  /** The runner answers inputs, each with its own byte. */
  async answer(...inputIds: readonly string[]): Promise<void> {
    const results = inputIds.map((inputId) => {
      return { inputId, outcome: "succeeded", bytes: 1, runMs: 2 } as const;
    });
    this.sandbox.say({ type: "results", results }, [
      Uint8Array.from(inputIds.map((_, position) => position)),
    ]);
    await settled();
  }

  /** Time passes, and the container is looked after. */
  async pass(durationMs: number): Promise<void> {
    this.clock.now += durationMs;
    this.container.checkTimeouts(this.clock.now);
    await settled();
  }
}

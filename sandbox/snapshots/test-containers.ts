/** Containers that run to one result on a real node, with its memory snapshots, for tests. */
import { randomUUID } from "node:crypto";
import { basename, join } from "node:path";
import { decodeValue, encodeValue } from "../../sdk/protocol/index.ts";
import { Container } from "../agent/container.ts";
import type { OpenFiles } from "../agent/container-image.ts";
import type { StartContainer } from "../agent/link.ts";
import { until } from "../fake/clock.ts";
import { systemClock } from "../system-clock.ts";
import { MemorySnapshots } from "./snapshots.ts";
import type { RealBench } from "./test-real.ts";

/** What a container of a function that asks for snapshots is started as. */
const START: Omit<StartContainer, "containerId"> = {
  functionId: "fn_1",
  functionName: "main",
  appName: "app",
  codeSha256: "c0de",
  resources: { gpuCount: 0, cpuMilli: 1_000, memoryMiB: 256 },
  env: {},
  startupTimeoutMs: 30_000,
  timeoutMs: 30_000,
  snapshotId: "a".repeat(64),
};

/** What came of one container. */
export interface RunOfContainer {
  readonly isRestored: boolean;
  readonly value: unknown;
  /** What was printed. */
  readonly lines: readonly string[];
}

/** What its containers are started with beside what all are. */
export interface ContainersOptions {
  readonly code: Uint8Array;
  readonly start?: Partial<StartContainer>;
  readonly openFiles?: OpenFiles;
}

type Kept = Pick<TestContainers, "snapshots" | "errors" | "dir">;

export class TestContainers {
  readonly snapshots: MemorySnapshots;
  /** Where they are. */
  readonly dir: string;
  /** What the snapshots complained of. */
  readonly errors: readonly string[];
  readonly #bench: RealBench;
  readonly #options: ContainersOptions;
  #count = 0;

  private constructor(bench: RealBench, options: ContainersOptions, kept: Kept) {
    this.#bench = bench;
    this.#options = options;
    this.snapshots = kept.snapshots;
    this.errors = kept.errors;
    this.dir = kept.dir;
  }

  static async open(bench: RealBench, options: ContainersOptions): Promise<TestContainers> {
    const errors: string[] = [];
    const dir = join(bench.dir, `snapshots-${randomUUID()}`);
    const snapshots = await MemorySnapshots.open({
      dir,
      runtime: bench.runtime,
      clock: systemClock,
      loadCode: () => Promise.resolve(options.code),
      findRoom: (spec) => spec,
      onKept: () => undefined,
      onError: (error) => errors.push(String(error)),
    });
    if (snapshots === undefined) throw new Error("gVisor has images");
    return new TestContainers(bench, options, { snapshots, errors, dir });
  }

  /** Runs one container, with this environment, to the result of one input. */
  async runOne(argument: unknown = 1, env: StartContainer["env"] = {}): Promise<RunOfContainer> {
    const { code, start = {}, openFiles } = this.#options;
    const lines: string[] = [];
    let isRestored: boolean | undefined;
    let outcome: { readonly value: unknown } | { readonly error: string } | undefined;
    this.#count += 1;
    const containerId = `co_${process.pid}_${basename(this.dir).slice(-8)}_${this.#count}`;
    const container = new Container({
      start: { ...START, ...start, env, containerId },
      ...(openFiles === undefined ? {} : { openFiles }),
      runtime: this.#bench.runtime,
      loadCode: () => Promise.resolve(code),
      snapshots: this.snapshots,
      relay: () => Promise.resolve({ status: 204, body: new Uint8Array(0) }),
      clock: systemClock,
      reports: {
        ready: (_, __, restored) => (isRestored = restored),
        results: (_, [result], [payload = new Uint8Array(0)]) => {
          const isGood = result?.outcome === "succeeded";
          outcome = isGood
            ? { value: decodeValue(payload) }
            : { error: JSON.stringify(result?.error) };
        },
        values: () => undefined,
        stream: () => undefined,
        logs: (_, printed) => lines.push(...printed.map(({ text }) => text)),
        exited: ({ message, error }) => (outcome ??= { error: error?.message ?? message }),
      },
    });
    const running = container.run();
    await until(() => isRestored !== undefined || outcome !== undefined, "it is ready");
    const input = encodeValue([argument]);
    container.push([{ inputId: "in_1", bytes: input.byteLength }], input);
    await until(() => outcome !== undefined, "it has answered");
    container.stop();
    await running;
    if (outcome === undefined || "error" in outcome) throw new Error(outcome?.error);
    return { isRestored: isRestored === true, value: outcome.value, lines };
  }
}

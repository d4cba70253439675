/** Memory snapshots on a runtime that is pretended, for tests. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach } from "vitest";
import type { StartContainer } from "../agent/link.ts";
import { CODE, START } from "../agent/test-container.ts";
import { FakeClock, until } from "../fake/clock.ts";
import { FakeRuntime } from "../fake/runtime.ts";
import type { SandboxSpec } from "../runtime/runtime.ts";
import { MemorySnapshots, type MemorySnapshotsOptions, type Start } from "./snapshots.ts";
import { TestImages } from "./test-images.ts";

/** A start that asks for snapshots, its sandbox, and the environment of its code. */
export const ASKED = { ...START, snapshotId: "a".repeat(64) };
export const SPEC: SandboxSpec = {
  containerId: "co_1",
  resources: START.resources,
  env: { PATH: "/bin" },
};
export const ENV = { MODE: "test" };

/** What a container is loaded as. */
export function loading(start: StartContainer): Start {
  return { start, params: Uint8Array.of(9) };
}

/** Time in which nothing is ever late, until a test lets it be. */
class PatientClock extends FakeClock {
  isLate = false;
  /** How long was asked for, each time. */
  readonly slept: number[] = [];
  override async sleep(durationMs = 0, signal?: AbortSignal): Promise<void> {
    this.slept.push(durationMs);
    const isDeadline = durationMs > 1_000;
    while (isDeadline && !this.isLate && signal?.aborted !== true) await super.sleep();
  }
}

/** All that a test of snapshots sees and changes; anew for each test. */
export class SnapshotBench {
  dir = "";
  runtime = new FakeRuntime();
  images = new TestImages();
  clock = new PatientClock();
  kept: string[] = [];
  errors: string[] = [];
  hasRoom = true;

  /** Begins with nothing. */
  async begin(): Promise<void> {
    this.dir = await mkdtemp(join(tmpdir(), "flotilla-snapshots-"));
    const runtime = new FakeRuntime();
    this.runtime = runtime;
    this.images = new TestImages();
    this.images.endOf = (containerId) => {
      runtime.started.find(({ spec }) => spec.containerId === containerId)?.end({ exitCode: 0 });
    };
    runtime.images = this.images.images;
    this.clock = new PatientClock();
    [this.kept, this.errors, this.hasRoom] = [[], [], true];
  }

  async open(changes: Partial<MemorySnapshotsOptions> = {}): Promise<MemorySnapshots> {
    const snapshots = await MemorySnapshots.open({
      dir: this.dir,
      runtime: this.runtime,
      clock: this.clock,
      loadCode: () => Promise.resolve(CODE),
      findRoom: (spec) => (this.hasRoom ? spec : undefined),
      onKept: (snapshotId) => this.kept.push(snapshotId),
      onError: (error, doing) => this.errors.push(`${doing}: ${String(error)}`),
      ...changes,
    });
    if (snapshots === undefined) throw new Error(this.errors.join());
    return snapshots;
  }

  /** Makes the snapshot of `start`; the runner says `loaded`. */
  async make(snapshots: MemorySnapshots, start = ASKED, obstacle?: string): Promise<void> {
    const { runtime } = this;
    const before = runtime.started.length;
    snapshots.consider(loading(start), SPEC);
    await until(() => runtime.started.length > before, "a sandbox to be kept is started");
    await until(() => runtime.last.told.length > 0, "it is told its code");
    runtime.last.say({ type: "loaded", ...(obstacle === undefined ? {} : { obstacle }) });
    await snapshots.idle();
  }
}

/** A bench for each test of a file. */
export function useSnapshotBench(): SnapshotBench {
  const bench = new SnapshotBench();
  beforeEach(async () => {
    await bench.begin();
  });
  afterEach(async () => {
    await rm(bench.dir, { recursive: true });
  });
  return bench;
}

/** A builder for tests, in a folder of its own, with a registry that has what it is given. */
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest";
import type { ImageBase, ImageStage, ImageStep } from "../../../sdk/protocol/index.ts";
import { systemClock } from "../../system-clock.ts";
import { FakeRegistry } from "../oci/fake-registry.ts";
import { tarOf, type TarSample } from "../oci/test-tar.ts";
import { ImageBuilder, type BuildProgress } from "./builder.ts";
import type { HostIndexes } from "./host-indexes.ts";

export const SCRATCH: ImageBase = { kind: "scratch" };
/** What a step of code begins with that has to do with files. */
export const FS = 'const fs = await import("node:fs");';

export interface Built {
  readonly root: string;
  readonly events: readonly BuildProgress[];
}

/** A step that runs the body of a function. */
export function code(body: string): ImageStep {
  return { kind: "function", source: `async () => { ${body} }` };
}

/** What the steps printed. */
export function logOf({ events }: Built): readonly string[] {
  return events.flatMap((event) => (event.kind === "log" ? [event.text] : []));
}

export class TestBuilder {
  dir = "";
  builder!: ImageBuilder;
  registry!: FakeRegistry;
  readonly #blobs = new Map<string, Uint8Array>();

  async open(): Promise<void> {
    this.registry = await FakeRegistry.start();
    this.#blobs.clear();
    const indexes: HostIndexes = {
      apt: [],
      variables: {},
      httpProxy: undefined,
      httpsProxy: undefined,
      noProxy: "",
      trusted: new Set([this.registry.host]),
      certificates: undefined,
    };
    this.builder = await ImageBuilder.open({
      dir: this.dir,
      clock: systemClock,
      indexes: () => indexes,
      blob: (sha256) => Promise.resolve(this.#blobs.get(sha256)),
    });
  }

  /** Builds an image; gives its root folder. */
  async build(
    steps: readonly ImageStep[],
    base = SCRATCH,
    stages: readonly ImageStage[] = [],
  ): Promise<Built> {
    const events: BuildProgress[] = [];
    const definition = { version: 1, base, steps, stages } as const;
    const { signal } = new AbortController();
    const onEvent = (event: BuildProgress): void => void events.push(event);
    const { imageId } = await this.builder.build({ definition, signal, onEvent });
    return { root: this.builder.store.rootOf(imageId), events };
  }

  /** A step that adds files. */
  files(target: string, samples: readonly TarSample[]): ImageStep {
    const bytes = tarOf(samples);
    const hash = createHash("sha256").update(bytes).digest("hex");
    this.#blobs.set(hash, bytes);
    return { kind: "files", target, archives: [hash] };
  }
}

/** Opens a builder before each test of a file; all have one folder, so Node is added once. */
export function useTestBuilder(): TestBuilder {
  const current = new TestBuilder();
  beforeAll(() => {
    current.dir = mkdtempSync(join(tmpdir(), "flotilla-builder-"));
  });
  afterAll(() => rmSync(current.dir, { recursive: true, force: true }));
  beforeEach(() => current.open());
  afterEach(async () => {
    await current.registry.close();
    expect(readdirSync(join(current.dir, "work"))).toEqual([]);
    expect(readFileSync("/proc/self/mounts", "utf8")).not.toContain(current.dir);
  });
  return current;
}

/** What one agent keeps ready for containers to come: which kinds, and what it was told to expect. */
import type { Clock, Resources } from "../../core/index.ts";
import { makeHeld } from "../images/held-sandbox.ts";
import { imageAt, sourceOf, type NodeImages } from "../images/node-images.ts";
import { bootedKind, canBeReady, withBooted } from "../pools/booted.ts";
import { ReadyPool, type ExpectedKind, type ReadyKind } from "../pools/ready-pool.ts";
import type { Runtime, SandboxSpec } from "../runtime/runtime.ts";
import type { MemorySnapshots } from "../snapshots/snapshots.ts";
import type { ExpectedStart } from "./link.ts";
import { sandboxSpecOf } from "./sandbox-spec.ts";

export interface ReadySandboxesOptions {
  readonly runtime: Runtime;
  readonly clock: Clock;
  /** Most sandboxes kept. */
  readonly countMax: number;
  /** Whether this machine can run functions of Python without an image. */
  readonly hasPython: boolean;
  /** The images of this node. */
  readonly images: Pick<NodeImages, "hold" | "refusalOf">;
  /** The images of memory of this node, once they are open. */
  readonly snapshots: () => Pick<MemorySnapshots, "readyKindOf"> | undefined;
  /** Whether the node has room for these beside its containers. */
  readonly hasRoom: (specs: readonly SandboxSpec[]) => boolean;
  /** Whether a container is starting. */
  readonly isBusy: () => boolean;
  readonly isMemoryShort?: () => boolean;
  readonly onError: (error: unknown, doing: string) => void;
}

/** What a function gets that asks for nothing. */
const USUAL_RESOURCES: Resources = { gpuCount: 0, cpuMilli: 125, memoryMiB: 256 };
/** Where the function is does not matter to its sandbox, only that it is Python. */
const ANY_PYTHON = { module: "", handler: "" };

export class ReadySandboxes {
  readonly pool: ReadyPool;
  /** Gives what has booted already where there is such a one. */
  readonly runtime: Runtime;
  readonly #options: ReadySandboxesOptions;
  #expected: readonly ExpectedStart[] = [];

  constructor(options: ReadySandboxesOptions) {
    this.#options = options;
    const { clock, countMax, hasRoom, isBusy, isMemoryShort, onError, hasPython } = options;
    const python = hasPython ? [this.#bootedAs({ python: ANY_PYTHON })] : [];
    this.pool = new ReadyPool({
      clock,
      countMax,
      usual: [this.#bootedAs({}), ...python],
      expected: () => this.#expected.flatMap((start) => this.#expectedKind(start)),
      makeHeld: (spec, make) => makeHeld(options.images, spec, make),
      hasRoom,
      isBusy,
      ...(isMemoryShort === undefined ? {} : { isShort: isMemoryShort }),
      onError,
    });
    this.runtime = withBooted(options.runtime, this.pool);
  }

  /** The server expects these to be started next, the likeliest first. */
  expect(starts: readonly ExpectedStart[]): void {
    this.#expected = starts;
    this.pool.fill();
  }

  #bootedAs({ python }: Pick<ExpectedStart, "python">): ReadyKind {
    const { runtime } = this.#options;
    const wish = { containerId: "", resources: USUAL_RESOURCES, ...(python && { python }) };
    return bootedKind(runtime, sandboxSpecOf(wish, runtime.isolation, {}));
  }

  /** Its memory, where this node has that, and else a runner that has booted. */
  #expectedKind(start: ExpectedStart): readonly ExpectedKind[] {
    const { runtime, snapshots } = this.#options;
    const { count } = start;
    if (this.#options.images.refusalOf(start) !== undefined) return [];
    const source = sourceOf(start);
    // Where it is mounted is known when it is.
    const files = source && { image: imageAt("", source, start.workdir) };
    const spec = sandboxSpecOf({ ...start, containerId: "" }, runtime.isolation, files ?? {});
    if (!canBeReady(spec)) return [];
    return [{ kind: snapshots()?.readyKindOf(start, spec) ?? bootedKind(runtime, spec), count }];
  }
}

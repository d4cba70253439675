/**
 * Sandboxes whose runner has booted and waits for code, so that a container need not wait for it.
 *
 * A container gets one that was started for its very specification, or a fresh one. Each is used
 * once: nothing that has run a user's code comes back. How many of a kind are kept follows from
 * the starts of the last minute; one of the commonest kind is always kept. They have only what is
 * left over: they go first when containers need the room, and none is started without it.
 */
import { randomUUID } from "node:crypto";
import type { Clock } from "../../core/index.ts";
import type { MemoryImages, RunningSandbox, Runtime, SandboxSpec } from "../runtime/runtime.ts";

export interface WarmPoolOptions {
  readonly runtime: Runtime;
  readonly clock: Clock;
  /** Most sandboxes kept; a core boots about one at a time. */
  readonly countMax: number;
  /** The kind of which one is always kept. */
  readonly commonest: Omit<SandboxSpec, "containerId">;
  /** Whether the node has room for these beside its containers. */
  readonly hasRoom: (specs: readonly SandboxSpec[]) => boolean;
  readonly onError: (error: unknown, doing: string) => void;
}

interface Warm {
  readonly kind: string;
  readonly spec: SandboxSpec;
  readonly sandbox: RunningSandbox;
}

/** Starts that count for how many are kept. */
const WINDOW_MS = 60_000;
/** Containers that start have the machine for themselves first. */
const SETTLE_MS = 300;

export class WarmPool implements Runtime {
  readonly #options: WarmPoolOptions;
  readonly #warm: Warm[] = [];
  /** The starts of the last minute, by kind, with their specification. */
  readonly #starts: { readonly kind: string; readonly spec: SandboxSpec; readonly atMs: number }[] =
    [];
  readonly #closing = new AbortController();
  #filling: Promise<void> | undefined;
  #isToFillAgain = false;

  constructor(options: WarmPoolOptions) {
    this.#options = options;
  }

  get isolation(): Runtime["isolation"] {
    return this.#options.runtime.isolation;
  }

  get images(): MemoryImages {
    return this.#options.runtime.images;
  }

  /** What is kept, in the order of its start. */
  get kept(): readonly SandboxSpec[] {
    return this.#warm.map(({ spec }) => spec);
  }

  /** A sandbox that waits for code, or a fresh one. @throws PlatformError `unavailable` */
  async start(spec: SandboxSpec): Promise<RunningSandbox> {
    const isPooled = isPlain(spec);
    const kind = kindOf(spec);
    const position = this.#warm.findIndex((warm) => isPooled && warm.kind === kind);
    const [warm] = position < 0 ? [] : this.#warm.splice(position, 1);
    if (isPooled) this.#starts.push({ kind, spec, atMs: this.#options.clock.nowMs() });
    this.fill();
    return warm?.sandbox ?? this.#options.runtime.start(spec);
  }

  /** Ends what the containers need the room of, the oldest first. */
  makeRoom(): void {
    while (this.#warm.length > 0 && !this.#options.hasRoom(this.kept)) {
      this.#warm.shift()?.sandbox.kill();
    }
  }

  /** Starts what is missing, in its own time. */
  fill(): void {
    this.#isToFillAgain = true;
    this.#filling ??= this.#fill().finally(() => (this.#filling = undefined));
  }

  /** Ends all that is kept. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#filling;
    const ending = this.#warm.splice(0);
    for (const { sandbox } of ending) sandbox.kill();
    await Promise.all(ending.map(({ sandbox }) => sandbox.exited));
  }

  async #fill(): Promise<void> {
    const { clock, onError } = this.#options;
    while (this.#isToFillAgain && !this.#closing.signal.aborted) {
      this.#isToFillAgain = false;
      await clock.sleep(SETTLE_MS, this.#closing.signal);
      try {
        for (let next = this.#missing(); next !== undefined; next = this.#missing()) {
          await this.#add(next);
        }
      } catch (error) {
        onError(error, "starting a sandbox ahead");
      }
    }
  }

  /** What is to be started next, if anything. */
  #missing(): SandboxSpec | undefined {
    const { countMax, commonest, hasRoom, clock } = this.#options;
    if (this.#closing.signal.aborted || this.#warm.length >= countMax) return undefined;
    const sinceMs = clock.nowMs() - WINDOW_MS;
    while ((this.#starts[0]?.atMs ?? Infinity) < sinceMs) this.#starts.shift();
    const wanted = [...this.#starts.toReversed(), { kind: kindOf(commonest), spec: commonest }];
    const counts = new Map<string, number>();
    for (const { kind, spec } of wanted) {
      const count = (counts.get(kind) ?? 0) + 1;
      counts.set(kind, count);
      if (this.#warm.filter((warm) => warm.kind === kind).length >= count) continue;
      const next = { ...spec, containerId: `warm_${randomUUID()}` };
      return hasRoom([...this.kept, next]) ? next : undefined;
    }
    return undefined;
  }

  async #add(spec: SandboxSpec): Promise<void> {
    const sandbox = await this.#options.runtime.start(spec);
    const warm = { kind: kindOf(spec), spec, sandbox };
    this.#warm.push(warm);
    // One that ends by itself is not handed out.
    void sandbox.exited.then(() => {
      const position = this.#warm.indexOf(warm);
      if (position >= 0) this.#warm.splice(position, 1);
    });
    this.makeRoom();
  }
}

/** Cards, a proxy, volumes and an image are a container's own, or come and go with it. */
function isPlain({ resources, allowHosts, image, volumes }: SandboxSpec): boolean {
  const isShared = allowHosts === undefined && image === undefined && volumes === undefined;
  return resources.gpuCount === 0 && isShared;
}

/** All of a specification but the name: two sandboxes of a kind are the same to a container. */
function kindOf(spec: Omit<SandboxSpec, "containerId">): string {
  return JSON.stringify({ ...spec, containerId: "" }, sortedKeys);
}

function sortedKeys(_: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)));
}

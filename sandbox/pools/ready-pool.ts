/**
 * Sandboxes that are ready before a container asks for one: booted runners that wait for code,
 * and restored memory that waits for its environment.
 *
 * A container gets one of its very kind, or starts as without a pool. Each is used once: nothing
 * that a container has had comes back. What has run a user's code while its memory was made is of
 * a kind that names the workspace, function and code, so nobody else is given it. What has booted
 * in an image, where even Python is the image's own, is of a kind that names image and workspace.
 *
 * What is kept follows, in this order, from the usual kinds, of which one each is kept, from what
 * the server expects next, and from the starts of the last minute. All share one limit, and the
 * room that containers leave: they go first when containers need it or the machine's memory runs
 * short, and none is started without it or while a container starts.
 */
import { randomUUID } from "node:crypto";
import type { Clock } from "../../core/index.ts";
import type { Make } from "../images/held-sandbox.ts";
import type { RunningSandbox, SandboxSpec } from "../runtime/runtime.ts";

/** Sandboxes that can stand in for each other. */
export interface ReadyKind {
  /** Equal for those that are the same to a container. */
  readonly key: string;
  /** What each is but for its name, and so what it takes of the node. */
  readonly spec: Omit<SandboxSpec, "containerId">;
  /** Makes one ready; undefined when that cannot be any more. @throws PlatformError */
  readonly make: Make;
}

/** So many of a kind are likely to be asked for next. */
export interface ExpectedKind {
  readonly kind: ReadyKind;
  readonly count: number;
}

export interface ReadyPoolOptions {
  readonly clock: Clock;
  /** Most sandboxes kept. */
  readonly countMax: number;
  /** Kinds of which one is always kept, the most usual first. */
  readonly usual: readonly ReadyKind[];
  /** What the server expects, the likeliest first. */
  readonly expected?: () => readonly ExpectedKind[];
  /** Makes one that has its image as long as it is there. */
  readonly makeHeld?: (spec: SandboxSpec, make: Make) => ReturnType<Make>;
  /** Whether the node has room for these beside its containers. */
  readonly hasRoom: (specs: readonly SandboxSpec[]) => boolean;
  /** Whether a container is starting, which then has the machine for itself. */
  readonly isBusy?: () => boolean;
  /** Whether the machine's memory runs short. */
  readonly isShort?: () => boolean;
  readonly onError: (error: unknown, doing: string) => void;
}

interface Ready {
  readonly kind: ReadyKind;
  readonly spec: SandboxSpec;
  readonly sandbox: RunningSandbox;
}

/** Starts that count for how many are kept. */
const WINDOW_MS = 60_000;
/** A kind that failed is left alone for so long. */
const REST_MS = 60_000;
/** Containers that start have the machine for themselves first, for as many looks as this. */
const SETTLE_MS = 300;
const LOOKS_MAX = 40;

export class ReadyPool {
  readonly #options: ReadyPoolOptions;
  /** The oldest first. */
  readonly #ready: Ready[] = [];
  /** The starts of the last minute, the oldest first. */
  readonly #starts: { readonly kind: ReadyKind; readonly atMs: number }[] = [];
  /** Kinds that failed, until when they rest. */
  readonly #resting = new Map<string, number>();
  readonly #closing = new AbortController();
  #filling: Promise<void> | undefined;
  #isToFillAgain = false;

  constructor(options: ReadyPoolOptions) {
    this.#options = options;
  }

  /** What is kept, in the order of its start. */
  get kept(): readonly SandboxSpec[] {
    return this.#ready.map(({ spec }) => spec);
  }

  /** One of this kind, which is that container's from then on; undefined when there is none. */
  take(kind: ReadyKind, containerId: string): RunningSandbox | undefined {
    this.#starts.push({ kind, atMs: this.#options.clock.nowMs() });
    const position = this.#ready.findIndex((ready) => ready.kind.key === kind.key);
    const [ready] = position < 0 ? [] : this.#ready.splice(position, 1);
    this.fill();
    ready?.sandbox.becomes?.(containerId);
    return ready?.sandbox;
  }

  /** Ends all of a kind: it is found to be bad. */
  discard(key: string): void {
    for (const ready of this.#ready.filter(({ kind }) => kind.key === key)) this.#end(ready);
  }

  /** Ends what the containers need the room of: first what nobody wants, then the oldest. */
  makeRoom(): void {
    while (!this.#options.hasRoom(this.kept) && this.#endOne());
  }

  /** To be called now and then: ends one while memory is short, and what nobody wants any more. */
  tidy(): void {
    if (this.#options.isShort?.() === true) this.#endOne();
    const unwanted = this.#unwanted(this.#wanted());
    for (const ready of unwanted) this.#end(ready);
    if (unwanted.length > 0) this.fill();
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
    const ending = this.#ready.splice(0);
    for (const { sandbox } of ending) sandbox.kill();
    await Promise.all(ending.map(({ sandbox }) => sandbox.exited));
  }

  async #fill(): Promise<void> {
    while (this.#isToFillAgain && !this.#closing.signal.aborted) {
      this.#isToFillAgain = false;
      await this.#settle();
      for (let next = this.#missing(); next !== undefined; next = this.#missing()) {
        await this.#add(next);
        if (this.#options.isBusy?.() === true) await this.#settle();
      }
    }
  }

  async #settle(): Promise<void> {
    for (let look = 0; look < LOOKS_MAX; look += 1) {
      await this.#options.clock.sleep(SETTLE_MS, this.#closing.signal);
      if (this.#closing.signal.aborted || this.#options.isBusy?.() !== true) return;
    }
  }

  /** What is to be started next, if anything; what is in its way has ended. */
  #missing(): ReadyKind | undefined {
    const { hasRoom, isShort, countMax } = this.#options;
    if (this.#closing.signal.aborted || isShort?.() === true) return undefined;
    const wanted = this.#wanted();
    const surplus = this.#unwanted(wanted);
    const left = keysOf(this.#ready.map(({ kind }) => kind));
    const next = wanted.find((kind) => !left.take(kind) && !this.#isResting(kind));
    if (next === undefined) return undefined;
    const hasPlace = (): boolean =>
      this.#ready.length < countMax && hasRoom([...this.kept, nameless(next)]);
    for (const ready of surplus) {
      if (hasPlace()) break;
      this.#end(ready);
    }
    return hasPlace() ? next : undefined;
  }

  /** What should be kept, the most wanted first; a kind is there once for each one of it. */
  #wanted(): readonly ReadyKind[] {
    const { clock, usual, expected = () => [], countMax } = this.#options;
    const sinceMs = clock.nowMs() - WINDOW_MS;
    while ((this.#starts[0]?.atMs ?? Infinity) < sinceMs) this.#starts.shift();
    const wanted: ReadyKind[] = [];
    const sources = [
      usual,
      expected().flatMap(({ kind, count }) => Array.from({ length: count }, () => kind)),
      this.#starts.toReversed().map(({ kind }) => kind),
    ];
    // Of a kind that two of them name, the larger number is kept, not the sum.
    for (const source of sources) {
      const before = keysOf(wanted);
      for (const kind of source) if (!before.take(kind)) wanted.push(kind);
    }
    return wanted.slice(0, countMax);
  }

  /** What is kept beyond what is wanted, the oldest first. */
  #unwanted(wanted: readonly ReadyKind[]): readonly Ready[] {
    const left = keysOf(wanted);
    // The youngest stay.
    const surplus = this.#ready.toReversed().filter(({ kind }) => !left.take(kind));
    return surplus.toReversed();
  }

  #isResting({ key }: ReadyKind): boolean {
    return (this.#resting.get(key) ?? 0) > this.#options.clock.nowMs();
  }

  async #add(kind: ReadyKind): Promise<void> {
    const spec = { ...kind.spec, containerId: `warm_${randomUUID()}` };
    try {
      const { makeHeld } = this.#options;
      const making = makeHeld === undefined ? kind.make(spec) : makeHeld(spec, kind.make);
      const sandbox = await making;
      if (sandbox === undefined) this.#rest(kind);
      else this.#keep({ kind, spec, sandbox });
    } catch (error) {
      this.#rest(kind);
      this.#options.onError(error, "making a sandbox ready ahead");
    }
  }

  #keep(ready: Ready): void {
    this.#ready.push(ready);
    // One that ends by itself is not handed out, and another would do the same.
    void ready.sandbox.exited.then(() => {
      if (!this.#remove(ready)) return;
      this.#rest(ready.kind);
    });
    this.makeRoom();
  }

  #rest({ key }: ReadyKind): void {
    const nowMs = this.#options.clock.nowMs();
    for (const [known, untilMs] of this.#resting) if (untilMs <= nowMs) this.#resting.delete(known);
    this.#resting.set(key, nowMs + REST_MS);
  }

  /** @returns whether there was one to end. */
  #endOne(): boolean {
    const [ready] = [...this.#unwanted(this.#wanted()), ...this.#ready];
    if (ready !== undefined) this.#end(ready);
    return ready !== undefined;
  }

  #end(ready: Ready): void {
    if (this.#remove(ready)) ready.sandbox.kill();
  }

  /** @returns whether it was still kept. */
  #remove(ready: Ready): boolean {
    const position = this.#ready.indexOf(ready);
    if (position >= 0) this.#ready.splice(position, 1);
    return position >= 0;
  }
}

function nameless({ spec }: ReadyKind): SandboxSpec {
  return { ...spec, containerId: "" };
}

/** How many there are of each kind; `take` says whether there was one left, and takes it. */
function keysOf(kinds: readonly ReadyKind[]): { take(kind: ReadyKind): boolean } {
  const counts = new Map<string, number>();
  for (const { key } of kinds) counts.set(key, (counts.get(key) ?? 0) + 1);
  return {
    take: ({ key }) => {
      const count = counts.get(key) ?? 0;
      counts.set(key, count - 1);
      return count > 0;
    },
  };
}

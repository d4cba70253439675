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
 *
 * Of a kind for which there is no room a lesser one is kept, if it has one, which takes less and is
 * slower to hand out. Lesser ones share a limit as high as that of the others, and end once the
 * kind itself is there.
 */
import { randomUUID } from "node:crypto";
import type { Clock, Resources } from "../../core/index.ts";
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
  /** What each takes of the node while it waits, where that is less than its `spec` says. */
  readonly takes?: Resources;
  /** What is kept of it where it has no room itself; it takes less. */
  readonly lesser?: ReadyKind;
}

/** So many of a kind are likely to be asked for next. */
export interface ExpectedKind {
  readonly kind: ReadyKind;
  readonly count: number;
}

export interface ReadyPoolOptions {
  readonly clock: Clock;
  /** Most sandboxes kept, and most lesser ones beside them. */
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

  /** What is kept, in the order of its start, with what it takes of the node. */
  get kept(): readonly SandboxSpec[] {
    return this.#ready.map(({ kind, spec }) => ({
      ...spec,
      resources: kind.takes ?? spec.resources,
    }));
  }

  /**
   * One of this kind, or a lesser one, which is that container's from then on; undefined when there
   * is neither.
   */
  take(kind: ReadyKind, containerId: string): RunningSandbox | undefined {
    this.#starts.push({ kind, atMs: this.#options.clock.nowMs() });
    const ready = this.#find(kind) ?? (kind.lesser && this.#find(kind.lesser));
    if (ready !== undefined) this.#remove(ready);
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
    const { isShort, countMax } = this.#options;
    if (this.#closing.signal.aborted || isShort?.() === true) return undefined;
    const wanted = this.#wanted();
    const surplus = this.#unwanted(wanted);
    const kept = keysOf(this.#ready.map(({ kind }) => kind));
    const isLacking = (kind: ReadyKind): boolean => !kept.take(kind) && !this.#isResting(kind);
    let hasRoom = true;
    for (const [position, kind] of wanted.entries()) {
      if (!isLacking(kind)) continue;
      // What is wanted less does not take the room of what is wanted more.
      hasRoom &&= position < countMax && this.#makePlace(kind, surplus);
      if (hasRoom) return kind;
      const { lesser } = kind;
      if (lesser && isLacking(lesser) && this.#makePlace(lesser, surplus)) return lesser;
    }
    return undefined;
  }

  /** Whether there is room for one more of a kind, also by ending what nobody wants. */
  #makePlace(kind: ReadyKind, surplus: readonly Ready[]): boolean {
    const { hasRoom, countMax } = this.#options;
    const takes = { ...kind.spec, containerId: "", resources: kind.takes ?? kind.spec.resources };
    const hasPlace = (): boolean => {
      const alike = this.#ready.filter((ready) => isLesser(ready.kind) === isLesser(kind));
      return alike.length < countMax && hasRoom([...this.kept, takes]);
    };
    for (const ready of surplus) {
      if (hasPlace()) break;
      this.#end(ready);
    }
    return hasPlace();
  }

  /**
   * What should be kept, the most wanted first; a kind is there once for each one of it. What is
   * beyond the limit is kept as a lesser one alone.
   */
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
    return wanted.slice(0, 2 * countMax);
  }

  /** What is kept beyond what is wanted, the oldest first. */
  #unwanted(wanted: readonly ReadyKind[]): readonly Ready[] {
    const left = keysOf(wanted.slice(0, this.#options.countMax));
    // The youngest stay.
    const youngest = this.#ready.toReversed();
    const whole = youngest.filter(({ kind }) => !isLesser(kind));
    const there = keysOf(whole.map(({ kind }) => kind));
    const lessers = wanted.flatMap((kind) => (there.take(kind) ? [] : (kind.lesser ?? [])));
    const leftLesser = keysOf(lessers);
    const isWanted = (kind: ReadyKind): boolean => (isLesser(kind) ? leftLesser : left).take(kind);
    return youngest.filter(({ kind }) => !isWanted(kind)).toReversed();
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
    // The lesser last: they hold least.
    const others = [false, true].flatMap((wish) =>
      this.#ready.filter(({ kind }) => isLesser(kind) === wish),
    );
    const [ready] = [...this.#unwanted(this.#wanted()), ...others];
    if (ready !== undefined) this.#end(ready);
    return ready !== undefined;
  }

  #end(ready: Ready): void {
    if (this.#remove(ready)) ready.sandbox.kill();
  }

  /** The oldest of a kind. */
  #find({ key }: ReadyKind): Ready | undefined {
    return this.#ready.find(({ kind }) => kind.key === key);
  }

  /** @returns whether it was still kept. */
  #remove(ready: Ready): boolean {
    const position = this.#ready.indexOf(ready);
    if (position >= 0) this.#ready.splice(position, 1);
    return position >= 0;
  }
}

function isLesser({ takes }: ReadyKind): boolean {
  return takes !== undefined;
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

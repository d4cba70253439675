/** The containers of one function and the inputs that each of them has. */
import type { LocalInput } from "./input.ts";

/** One container as its dispatcher sees it. */
export interface Slot {
  readonly containerId: string;
  readonly inflight: Map<string, LocalInput>;
  /** When the input at the head began, as far as we can tell. */
  headSinceMs: number;
  /** When it was last asked to give inputs back. */
  takenBackAtMs: number;
  /** From its place on a node until it could take inputs; 0 once it has got one. */
  startMs: number;
  /** It finishes what it has and gets nothing more. */
  isDraining: boolean;
  /** It was for a single input, and has got one. */
  isUsed: boolean;
  /** What it may never have got: its link broke when these were in it. */
  unsureIds: ReadonlySet<string>;
}

export class Slots {
  readonly #slots = new Map<string, Slot>();

  get size(): number {
    return this.#slots.size;
  }

  all(): readonly Slot[] {
    return [...this.#slots.values()];
  }

  /** Those that may get inputs. */
  open(): readonly Slot[] {
    return this.all().filter((slot) => !slot.isDraining && !slot.isUsed);
  }

  get(containerId: string): Slot | undefined {
    return this.#slots.get(containerId);
  }

  /** The slot of a container, made empty when it is new. */
  ensure(containerId: string): Slot {
    const known = this.#slots.get(containerId);
    if (known !== undefined) return known;
    const inflight = new Map<string, LocalInput>();
    const times = { headSinceMs: 0, takenBackAtMs: 0, startMs: 0 };
    const slot = {
      containerId,
      inflight,
      ...times,
      isDraining: false,
      isUsed: false,
      unsureIds: new Set<string>(),
    };
    this.#slots.set(containerId, slot);
    return slot;
  }

  delete(containerId: string): void {
    this.#slots.delete(containerId);
  }

  /** The input of this name, if that container has it. */
  heldBy(containerId: string, inputId: string): LocalInput | undefined {
    return this.#slots.get(containerId)?.inflight.get(inputId);
  }

  /** The container that has an input. O(n) in containers. */
  holderOf(inputId: string): string | undefined {
    return this.all().find(({ inflight }) => inflight.has(inputId))?.containerId;
  }

  /** When the oldest input of a container began; undefined while it has none. */
  headSinceMs(containerId: string): number | undefined {
    const slot = this.#slots.get(containerId);
    return slot === undefined || slot.inflight.size === 0 ? undefined : slot.headSinceMs;
  }
}

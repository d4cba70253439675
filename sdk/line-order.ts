/** Which of the lines of containers are new, and how many are missing between them. */
import type { PlatformEvent } from "./protocol/events.ts";

type LineEvent = Pick<Extract<PlatformEvent, { readonly kind: "log" }>, "containerId" | "sequence">;

/** Containers whose place is kept; of more, the one not heard of for longest is forgotten. */
const CONTAINERS_MAX = 10_000;

/**
 * Lines are numbered within their container without gaps, and come in order. Around a break of a
 * connection a line may be sent twice, and some may be lost.
 */
export class LineOrder {
  readonly #lastOf = new Map<string, number>();

  /** Takes a line in; one that was here before is not new. */
  place({ containerId = "", sequence }: LineEvent): {
    readonly isNew: boolean;
    /** Lines of its container between this one and the one before. */
    readonly missingCount: number;
  } {
    const last = this.#lastOf.get(containerId);
    if (last !== undefined && sequence <= last) return { isNew: false, missingCount: 0 };
    this.#lastOf.delete(containerId);
    this.#lastOf.set(containerId, sequence);
    const [oldest] = this.#lastOf.keys();
    if (this.#lastOf.size > CONTAINERS_MAX && oldest !== undefined) this.#lastOf.delete(oldest);
    return { isNew: true, missingCount: last === undefined ? 0 : sequence - last - 1 };
  }
}

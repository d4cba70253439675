/** Where the time of a cold start went: told once its container is ready. */
import type { PlatformEvent } from "../protocol/index.ts";

/** Puts the events of an app together; they come in order. */
export class StartExplainer {
  #queuedAtMs: number | undefined;
  readonly #requestedAtMs = new Map<string, number>();
  readonly #provisionMs = new Map<string, number>();
  readonly #placed = new Map<string, { readonly atMs: number; readonly queuedAtMs: number }>();

  /** What the event completes: the parts of a start, as one line; undefined for most events. */
  note(event: PlatformEvent): string | undefined {
    const { atMs, nodeId = "", containerId = "" } = event;
    switch (event.kind) {
      case "call.queued":
        this.#queuedAtMs ??= atMs;
        return undefined;
      case "node.requested":
        this.#requestedAtMs.set(nodeId, atMs);
        return undefined;
      case "node.registered":
        this.#provisionMs.set(nodeId, atMs - (this.#requestedAtMs.get(nodeId) ?? atMs));
        return undefined;
      case "container.placed":
        this.#placed.set(containerId, { atMs, queuedAtMs: this.#queuedAtMs ?? atMs });
        return undefined;
      case "container.ready":
        return this.#explain(event);
      default:
        return undefined;
    }
  }

  #explain(event: Extract<PlatformEvent, { readonly kind: "container.ready" }>): string {
    const { containerId = "", nodeId = "", startMs, stages, restored = false } = event;
    const placed = this.#placed.get(containerId);
    this.#placed.delete(containerId);
    const waitedMs = placed === undefined ? 0 : Math.max(0, placed.atMs - placed.queuedAtMs);
    // A machine that came before the call was no part of its wait.
    const provisionMs = Math.min(waitedMs, this.#provisionMs.get(nodeId) ?? 0);
    const start =
      stages === undefined
        ? [`start ${shown(startMs)}`]
        : [
            `image ${shown(stages.imageMs)}`,
            `${restored ? "restore" : "boot"} ${shown(stages.bootMs)}`,
            `your code ${shown(stages.initMs)}`,
          ];
    const parts = [`queue ${shown(waitedMs - provisionMs)}`, `provision ${shown(provisionMs)}`];
    const name = `cold start of ${containerId}`;
    return `${name}: ${shown(waitedMs + startMs)} = ${[...parts, ...start].join(" + ")}`;
  }
}

function shown(ms: number): string {
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}

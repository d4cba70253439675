/** Inputs that were told to stop, and until when they may run before their container is ended. */
import type { InputHeader } from "../runners/protocol.ts";

/** How long an input that was told to stop may take before its container is ended. */
const ABORT_GRACE_MS = 500;

export class AbortedInputs {
  readonly #sparesOthers: boolean;
  readonly #untilMs = new Map<string, number>();
  readonly #spared = new Set<string>();

  /** @param maxInputs Inputs that the container runs at once. */
  constructor(maxInputs: number) {
    this.#sparesOthers = maxInputs > 1;
  }

  /**
   * Inputs came. A client that leaves is no reason to end the requests of others, so of several
   * at once a web request that does not stop runs to its end.
   */
  note(inputs: readonly InputHeader[]): void {
    if (!this.#sparesOthers) return;
    for (const { inputId, web } of inputs) if (web !== undefined) this.#spared.add(inputId);
  }

  /** Inputs were told to stop. */
  tell(inputIds: readonly string[], nowMs: number): void {
    for (const inputId of inputIds) {
      if (!this.#spared.has(inputId)) this.#untilMs.set(inputId, nowMs + ABORT_GRACE_MS);
    }
  }

  /** Inputs have ended. */
  forget(inputIds: Iterable<string>): void {
    for (const inputId of inputIds) {
      this.#untilMs.delete(inputId);
      this.#spared.delete(inputId);
    }
  }

  /** Whether one runs for too long. */
  isOverdue(nowMs: number): boolean {
    return [...this.#untilMs.values()].some((untilMs) => nowMs >= untilMs);
  }
}

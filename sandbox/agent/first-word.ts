/** What a runner says before its first input, and whether it says anything at all. */
import type { FromRunner } from "../runners/protocol.ts";

/** What it says of its start. */
export type StartMessage = Extract<FromRunner, { readonly type: (typeof TYPES)[number] }>;

const TYPES = ["begun", "loaded", "load_failed", "entered", "ready"] as const;

/** It answers at once: what takes longer hangs, whatever the user's code may take to load. */
const SILENT_MS_MAX = 60_000;

/** Whether it is a word of the start, which no input has a part in. */
export function isOfStart(message: FromRunner): message is StartMessage {
  return TYPES.some((type) => type === message.type);
}

/** Watches one runner, which says `begun` before it loads the code. */
export class FirstWord {
  #askedAtMs: number | undefined;
  #isHeard = false;

  /** It was given its code. */
  asked(nowMs: number): void {
    this.#askedAtMs ??= nowMs;
  }

  /** It said something. */
  heard(): void {
    this.#isHeard = true;
  }

  /** Why it is to be given up; undefined while it may go on. */
  faultAt(nowMs: number): string | undefined {
    if (this.#isHeard || this.#askedAtMs === undefined) return undefined;
    if (nowMs - this.#askedAtMs <= SILENT_MS_MAX) return undefined;
    return `its sandbox did not come up within ${SILENT_MS_MAX} ms`;
  }
}

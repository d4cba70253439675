/** What the time of a container's start went into. */
import type { ReadyMessage } from "../runners/protocol.ts";

/** Milliseconds of each part, one after the other; together the whole start. */
export interface StartStages {
  /** Until its image and volumes were there to be read. */
  readonly imageMs: number;
  /** Until a sandbox with a runner had the user's code: booted, or restored from memory. */
  readonly bootMs: number;
  /** The user's own: its module and hooks; after a restore the hooks that follow it. */
  readonly initMs: number;
}

/**
 * The parts of a start of `startMs`, of which the files took `imageMs`. What a runner says of
 * itself is believed as far as it fits into the rest.
 */
export function stagesOf(
  startMs: number,
  imageMs: number,
  isRestored: boolean,
  { loadMs = 0, enterMs = 0 }: Pick<ReadyMessage, "loadMs" | "enterMs">,
): StartStages {
  const restMs = Math.max(0, startMs - imageMs);
  const initMs = Math.min(restMs, enterMs + (isRestored ? 0 : loadMs));
  return { imageMs, bootMs: restMs - initMs, initMs };
}

/**
 * Lines that containers printed and that the server has not said it keeps: sent at once, and
 * again, in order, on every new connection until it has.
 *
 * Bounded for the node as a whole. Beyond the bound the oldest lines of the container with most
 * of them go; lines are numbered in their container, so readers see how many are missing, and
 * where.
 */
import type { AgentMessage } from "./link.ts";

type LogsMessage = Extract<AgentMessage, { type: "logs" }>;
type Line = LogsMessage["lines"][number];

/** Characters of all lines that are kept. */
const CHARACTERS_MAX = 16 * 1024 * 1024;
/** What a line costs beside its text, about. */
const LINE_CHARACTERS = 100;
/** Lines of one message when they are sent again: at most 16 KiB each. */
const LINES_AT_ONCE = 200;

interface Kept {
  readonly functionId: string;
  lines: Line[];
  characters: number;
}

export class UnstoredLines {
  readonly #send: (message: LogsMessage) => void;
  readonly #charactersMax: number;
  readonly #byContainer = new Map<string, Kept>();
  #characters = 0;

  /** @param send Says it to the server if the link is up. */
  constructor(send: (message: LogsMessage) => void, charactersMax = CHARACTERS_MAX) {
    this.#send = send;
    this.#charactersMax = charactersMax;
  }

  /** Sends lines, and keeps them until they are stored. */
  add(containerId: string, functionId: string, lines: readonly Line[]): void {
    const kept = this.#byContainer.get(containerId) ?? { functionId, lines: [], characters: 0 };
    this.#byContainer.set(containerId, kept);
    kept.lines.push(...lines);
    this.#count(kept, charactersIn(lines));
    while (this.#characters > this.#charactersMax) this.#dropSome();
    this.#send({ type: "logs", containerId, functionId, lines });
  }

  /** The server keeps the lines of a container up to this one. */
  stored(containerId: string, sequence: number): void {
    const kept = this.#byContainer.get(containerId);
    if (kept === undefined) return;
    const from = kept.lines.findIndex((line) => line.sequence > sequence);
    this.#forget(containerId, kept, from === -1 ? kept.lines.length : from);
  }

  /** Sends everything that is kept once more. */
  resend(): void {
    for (const [containerId, { functionId, lines }] of this.#byContainer) {
      for (let from = 0; from < lines.length; from += LINES_AT_ONCE) {
        const some = lines.slice(from, from + LINES_AT_ONCE);
        this.#send({ type: "logs", containerId, functionId, lines: some });
      }
    }
  }

  /** A sixteenth at once, so that a flood does not pay for each of its lines anew. */
  #dropSome(): void {
    const [first, ...others] = this.#byContainer;
    if (first === undefined) return;
    const [containerId, kept] = others.reduce(
      (most, one) => (one[1].characters > most[1].characters ? one : most),
      first,
    );
    this.#forget(containerId, kept, Math.ceil(kept.lines.length / 16));
  }

  #forget(containerId: string, kept: Kept, count: number): void {
    this.#count(kept, -charactersIn(kept.lines.slice(0, count)));
    kept.lines = kept.lines.slice(count);
    if (kept.lines.length === 0) this.#byContainer.delete(containerId);
  }

  #count(kept: Kept, characters: number): void {
    kept.characters += characters;
    this.#characters += characters;
  }
}

function charactersIn(lines: readonly Line[]): number {
  return lines.reduce((sum, { text }) => sum + text.length + LINE_CHARACTERS, 0);
}

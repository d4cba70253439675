/** The log of one container: limited, numbered without gaps, sent in handfuls. */
import type { Clock } from "../../core/index.ts";
import type { RunnerLine } from "../runners/protocol.ts";
import { DEFAULT_LOG_LIMITS, LogLimiter, MARKER_EVERY_MS } from "./log-limiter.ts";

/** A line with its number in the container, from 1. */
export interface LogLine extends RunnerLine {
  readonly sequence: number;
}

/** Lines wait this long for others. */
const GATHER_MS = 10;
/** Longest line; longer ones are cut. */
export const LINE_CHARACTERS_MAX = 16 * 1024;

export class ContainerLog {
  readonly #clock: Clock;
  readonly #send: (lines: readonly LogLine[]) => void;
  readonly #mask: (text: string) => string;
  readonly #limiter: LogLimiter;
  #lines: LogLine[] = [];
  #sequence = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param mask What every text goes through, such as to hide secrets. */
  constructor(
    clock: Clock,
    send: (lines: readonly LogLine[]) => void,
    mask: (text: string) => string = (text) => text,
  ) {
    this.#clock = clock;
    this.#send = send;
    this.#mask = mask;
    this.#limiter = new LogLimiter(DEFAULT_LOG_LIMITS, clock.nowMs());
  }

  /** @param droppedBytes Bytes that were dropped before they came here. */
  add(lines: readonly RunnerLine[], droppedBytes = 0): void {
    const nowMs = this.#clock.nowMs();
    for (const line of lines) {
      const text = this.#mask(line.text).slice(0, LINE_CHARACTERS_MAX);
      if (this.#limiter.admit(Buffer.byteLength(text) + 1, nowMs)) this.#push({ ...line, text });
    }
    this.#limiter.addDropped(droppedBytes);
    this.#mark(false);
    // The first line of a quiet container leaves at once: somebody may be waiting for it.
    if (this.#timer !== undefined) return;
    this.#flush();
    this.#flushAfter(GATHER_MS);
  }

  /** Sends what is left, with a last word about what was dropped. */
  end(): void {
    clearTimeout(this.#timer);
    this.#mark(true);
    this.#flush();
  }

  /** Flushes later, and again as long as something dropped is still to be told. */
  #flushAfter(delayMs: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#mark(false);
      this.#flush();
      if (this.#limiter.hasUntold) this.#flushAfter(MARKER_EVERY_MS);
    }, delayMs);
  }

  #mark(last: boolean): void {
    const text = this.#limiter.marker(this.#clock.nowMs(), last);
    if (text !== undefined) this.#push({ stream: "stderr", text });
  }

  #push(line: RunnerLine): void {
    this.#sequence += 1;
    this.#lines.push({ ...line, sequence: this.#sequence });
  }

  #flush(): void {
    if (this.#lines.length === 0) return;
    const lines = this.#lines;
    this.#lines = [];
    this.#send(lines);
  }
}

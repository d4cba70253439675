/**
 * Shows on stderr how far a search is: on a terminal one line that is redrawn; elsewhere a line
 * now and then. What becomes better is said once and stays.
 */
import { MS_PER_MINUTE, MS_PER_SECOND } from "../../../core/index.ts";
import { nameOf, type TuneProgress } from "../../../simulations/index.ts";
import type { ProgressScreen } from "../simulate/progress.ts";
import { shortNumber } from "./found.ts";

const REDRAW_EVERY_MS = 200;
const PLAIN_EVERY_MS = 10_000;
const BAR_COLUMNS = 20;

export class TuneShow {
  readonly #screen: ProgressScreen;
  readonly #nowMs: () => number;
  readonly #startedMs: number;
  #drawnMs = -Infinity;
  #isDrawn = false;
  #bestId: number | undefined;
  /** Flights that were kept from before cost no time. */
  #keptMs = 0;

  constructor(screen: ProgressScreen, nowMs: () => number) {
    this.#screen = screen;
    this.#nowMs = nowMs;
    this.#startedMs = nowMs();
    if (!screen.isLive) this.#drawnMs = this.#startedMs;
  }

  /** A flight was taken from disk. */
  noteKept(flightMs: number): void {
    this.#keptMs += flightMs;
  }

  show(progress: TuneProgress): void {
    const { best, base } = progress;
    if (best !== undefined && best.id !== this.#bestId) {
      this.#bestId = best.id;
      const against = base === undefined ? "" : ` (base policy ${shortNumber(base.value)})`;
      const set = Object.entries(best.settings).map(([name, value]) => `${name}=${value}`);
      this.#say(
        `• best so far: ${nameOf(best.id)} with ${shortNumber(best.train.value)}${against}: ` +
          set.join(" "),
      );
    }
    const nowMs = this.#nowMs();
    const everyMs = this.#screen.isLive ? REDRAW_EVERY_MS : PLAIN_EVERY_MS;
    if (nowMs - this.#drawnMs < everyMs) return;
    this.#drawnMs = nowMs;
    this.#clear();
    this.#line(this.#text(progress, nowMs));
    this.#isDrawn = this.#screen.isLive;
  }

  /** Takes the redrawn line away; what was said stays. */
  close(): void {
    this.#clear();
  }

  #say(text: string): void {
    this.#clear();
    this.#line(text);
    if (this.#screen.isLive) this.#drawnMs = -Infinity;
  }

  #text(progress: TuneProgress, nowMs: number): string {
    const { flown, runs, flownMs, plannedMs } = progress;
    const share = plannedMs === 0 ? 1 : flownMs / plannedMs;
    const bar = this.#screen.isLive ? `${barOf(share)} ` : "";
    const percent = `${String(Math.floor(share * 100)).padStart(3)} %`;
    return `  ${bar}${percent}, ${flown} of ${runs} flights, ${stageOf(progress)}${this.#left(progress, nowMs)}`;
  }

  #left({ flownMs, plannedMs }: TuneProgress, nowMs: number): string {
    const ownMs = flownMs - this.#keptMs;
    const elapsedMs = nowMs - this.#startedMs;
    if (ownMs < 0.02 * plannedMs) return "";
    return `, ${durationText((elapsedMs / ownMs) * (plannedMs - flownMs))} left`;
  }

  #clear(): void {
    if (!this.#isDrawn) return;
    this.#screen.write("\u001b[1A\r\u001b[J");
    this.#isDrawn = false;
  }

  #line(text: string): void {
    const { isLive, widthColumns } = this.#screen;
    const width = Math.max(20, widthColumns - 1);
    const isLong = isLive && text.length > width;
    this.#screen.write(`${isLong ? `${text.slice(0, width - 1)}…` : text}\n`);
  }
}

function stageOf({ rung, rungCount, candidates }: TuneProgress): string {
  if (rung === 0) return "the base policy";
  if (rung > rungCount) return "judging on the held-out stretch";
  return `${candidates} candidates, up to rung ${rung} of ${rungCount}`;
}

function barOf(share: number): string {
  const full = Math.min(BAR_COLUMNS, Math.floor(share * BAR_COLUMNS));
  return `${"█".repeat(full)}${"░".repeat(BAR_COLUMNS - full)}`;
}

function durationText(ms: number): string {
  if (ms < 2 * MS_PER_MINUTE) return `${Math.max(0, Math.round(ms / MS_PER_SECOND))} s`;
  return `${Math.round(ms / MS_PER_MINUTE)} min`;
}

/**
 * What functions have learned of their load, kept in the record store.
 *
 * It belongs to a function by name: a new version goes on with what the one before it knew. A new
 * awakening is written at the next look, a mere count at most every ten seconds, since it is worth
 * something for a minute only. Ephemeral apps come under new names and are not remembered.
 */
import type { Clock } from "../../core/index.ts";
import { ArrivalLog, expectNext, type ArrivalHistory } from "../../scheduler/index.ts";
import type {
  ArrivalStore,
  FunctionKey,
  StoredArrivals,
  StoredFunction,
} from "../store/record-store.ts";

export interface ArrivalMemoryOptions {
  readonly store: ArrivalStore;
  readonly clock: Clock;
  readonly onError: (error: unknown, doing: string) => void;
}

/** A function that learns of its load. */
export interface Learner extends FunctionKey {
  readonly mode: "deployed" | "ephemeral";
  readonly retired: boolean;
  readonly arrivals: ArrivalLog;
  readonly startupMs: number | undefined;
}

/** What a function begins with. */
export interface Remembered {
  readonly arrivals: ArrivalLog;
  readonly startupMs: number | undefined;
}

/** How often a function's counts are written while it is called all the time. */
const WRITE_EVERY_MS = 10_000;
/** Assumed of a start that nobody has measured, to judge whether to expect a call. */
const STARTUP_MS_ASSUMED = 1_000;

interface Written {
  readonly atMs: number;
  readonly lastAtMs: number | undefined;
  readonly awakenedAtMs: number | undefined;
}

export class ArrivalMemory {
  readonly #options: ArrivalMemoryOptions;
  readonly #written = new WeakMap<ArrivalLog, Written>();

  constructor(options: ArrivalMemoryOptions) {
    this.#options = options;
  }

  /** What is known of a function; nothing when it was never called. */
  async recall(stored: StoredFunction): Promise<Remembered> {
    const before = await this.#stored(stored);
    return { arrivals: new ArrivalLog(before), startupMs: before?.startupMs };
  }

  /** Whether a call of the function is expected, so that somebody should look out for it. */
  async isExpected(stored: StoredFunction): Promise<boolean> {
    const before = await this.#stored(stored);
    if (before === undefined) return false;
    const { history, startupMs = STARTUP_MS_ASSUMED } = before;
    const next = expectNext(history.awakenings, startupMs);
    return next !== undefined && this.#options.clock.nowMs() < next.untilMs;
  }

  /** Writes what is new; `isLast` writes counts too that were written a moment ago. */
  async write(lives: readonly Learner[], isLast = false): Promise<void> {
    const nowMs = this.#options.clock.nowMs();
    await Promise.all(lives.map((live) => this.#writeOne(live, nowMs, isLast)));
  }

  async #writeOne(live: Learner, nowMs: number, isLast: boolean): Promise<void> {
    if (live.retired || live.mode !== "deployed") return;
    const { arrivals, startupMs, workspaceId, app, name } = live;
    const history = arrivals.history(nowMs);
    const before = this.#written.get(arrivals);
    const now = writtenOf(history, nowMs);
    if (!isNews(now, before) || !(isLast || isWorthWriting(now, before))) return;
    this.#written.set(arrivals, now);
    const key = { workspaceId, app, name };
    const start = startupMs === undefined ? {} : { startupMs };
    try {
      await this.#options.store.put({ ...key, atMs: nowMs, history, ...start });
    } catch (error) {
      // Written with the next ones.
      this.#written.delete(arrivals);
      this.#options.onError(error, `remembering when ${app}/${name} was called`);
    }
  }

  async #stored({ name, deployment }: StoredFunction): Promise<StoredArrivals | undefined> {
    const { workspaceId, app, mode } = deployment;
    if (mode !== "deployed") return undefined;
    return this.#options.store.get({ workspaceId, app, name });
  }
}

function writtenOf({ lastAtMs, awakenings }: ArrivalHistory, atMs: number): Written {
  return { atMs, lastAtMs, awakenedAtMs: awakenings.at(-1)?.atMs };
}

function isNews(now: Written, before: Written | undefined): boolean {
  return now.lastAtMs !== undefined && now.lastAtMs !== before?.lastAtMs;
}

function isWorthWriting(now: Written, before: Written | undefined): boolean {
  if (before === undefined || now.awakenedAtMs !== before.awakenedAtMs) return true;
  return now.atMs - before.atMs >= WRITE_EVERY_MS;
}

/**
 * A whole search: the base policy, the candidates, and the judgement of the best on the stretch
 * that none of them was chosen by.
 *
 * All candidates of a rung fly the same stretch with the same seeds, so that they meet the same
 * arrivals, and differences between them are their own (common random numbers). The longest
 * flights that are open go first, so that no thread is left with one at the end.
 */
import { PlatformError, messageOf } from "../../core/index.ts";
import type { Span } from "../runs/span.ts";
import type { Setting } from "./domain.ts";
import type { Figures } from "./figures.ts";
import type { Objective } from "./objective.ts";
import type { Parameter, Settings } from "./params.ts";
import { Search, type Trial } from "./search.ts";
import { flightMsOf, type SearchSize } from "./budget.ts";
import type { SearchWindows, Stretch } from "./windows.ts";
import type { Judgement, TunedCandidate, TuneOutcome } from "./outcome.ts";
import { frontOf } from "./study.ts";

/** One flight that is wanted. Equal ones give equal figures. */
export interface FlightWish {
  /** What is set in the base policy; nothing for the base policy itself. */
  readonly settings: Settings;
  readonly span: Span;
  readonly seed: number;
}

export interface TuneOptions {
  readonly objective: Objective;
  readonly parameters: readonly Parameter[];
  readonly windows: SearchWindows;
  readonly size: SearchSize;
  /** Fixes the proposals. */
  readonly seed: number;
  /** Flights at a time. */
  readonly jobCount: number;
  readonly isAllowed: (settings: Settings) => boolean;
  readonly fly: (wish: FlightWish) => Promise<Figures>;
  readonly onProgress?: (progress: TuneProgress) => void;
  readonly signal?: AbortSignal;
}

export interface TuneProgress {
  readonly flown: number;
  /** Of so many, at most. */
  readonly runs: number;
  /** Virtual time that was flown, of so much at most: what is left of the work. */
  readonly flownMs: number;
  readonly plannedMs: number;
  /** From 1; 0 while the base policy flies, and one more than all for the judgement. */
  readonly rung: number;
  readonly rungCount: number;
  readonly candidates: number;
  readonly base?: Judgement;
  /** The best so far of those on the last rung. */
  readonly best?: Pick<TunedCandidate, "id" | "settings" | "train">;
}

/**
 * Searches. Rejects with the signal's reason when it is aborted, and with what a flight rejects.
 *
 * @throws PlatformError `invalid_request` when the objective says nothing about this world.
 */
export async function tune(options: TuneOptions): Promise<TuneOutcome> {
  return await new Tuning(options).run();
}

interface Task {
  readonly label: string;
  readonly wish: FlightWish;
  readonly resolve: (figures: Figures) => void;
  readonly reject: (error: unknown) => void;
}

class Tuning {
  readonly #options: TuneOptions;
  readonly #search: Search;
  readonly #judged = new Map<number, Omit<TunedCandidate, "heldOut">>();
  #queue: Task[] = [];
  #flying = 0;
  #flown = 0;
  #flownMs = 0;
  #isOver = false;
  #rung = 0;
  #base: Judgement | undefined;

  constructor(options: TuneOptions) {
    this.#options = options;
    const { seed, parameters, windows, size, isAllowed } = options;
    this.#search = new Search({
      seed,
      domains: parameters.map(({ domain }) => domain),
      rungCount: windows.rungs.length,
      brackets: size.brackets,
      isAllowed: (settings) => isAllowed(this.#named(settings)),
    });
  }

  async run(): Promise<TuneOutcome> {
    const { windows, signal } = this.#options;
    const aborted = new Promise<never>((_, reject) => {
      const give = (): void => {
        this.#isOver = true;
        reject(signal?.reason as Error);
      };
      if (signal?.aborted === true) give();
      else signal?.addEventListener("abort", give, { once: true });
    });
    const searched = async (): Promise<TuneOutcome> => {
      const base = await this.#flyBase();
      await this.#flyCandidates();
      this.#rung = windows.rungs.length + 1;
      return await this.#judge(base);
    };
    return await Promise.race([searched(), aborted]);
  }

  async #flyBase(): Promise<TuneOutcome["base"]> {
    const { windows } = this.#options;
    const [train, heldOut] = await Promise.all([
      this.#fly("the base policy", {}, windows.train),
      this.#fly("the base policy", {}, windows.heldOut),
    ]);
    this.#requireValue(train, "training");
    this.#requireValue(heldOut, "held-out");
    this.#base = train;
    return { id: 0, settings: {}, train, heldOut };
  }

  /** An objective that is nothing for the base policy says nothing of the others. */
  #requireValue({ value, flights }: Judgement, stretch: string): void {
    if (Number.isFinite(value)) return;
    const { names, text } = this.#options.objective;
    const absent = names.filter((name) => flights.some((figures) => figures[name] === undefined));
    const why =
      absent.length === 0 ? "its value is no number" : `there is no ${absent.join(", ")} to read`;
    throw new PlatformError(
      `the objective ${text} says nothing of the base policy on the ${stretch} stretch: ${why}, ` +
        "for no input came or nothing was rented; take other hours or another objective",
      { code: "invalid_request", retryable: false },
    );
  }

  async #flyCandidates(): Promise<void> {
    const open = new Set<Promise<void>>();
    const ask = (): void => {
      for (const trial of this.#search.ask()) {
        // One that failed stays among them, so that the next wait ends with its error.
        const judging = this.#flyTrial(trial).then(() => {
          open.delete(judging);
        });
        open.add(judging);
      }
    };
    ask();
    while (open.size > 0) {
      await Promise.race(open);
      ask();
    }
  }

  async #flyTrial({ candidate: id, rung, settings }: Trial): Promise<void> {
    const { rungs } = this.#options.windows;
    const stretch = rungs[rung];
    if (stretch === undefined) return;
    const named = this.#named(settings);
    this.#rung = Math.max(this.#rung, rung + 1);
    const train = await this.#fly(`candidate ${id}`, named, stretch);
    if (rung === rungs.length - 1) this.#judged.set(id, { id, settings: named, train });
    this.#search.tell({ candidate: id, rung }, train.value);
  }

  async #judge(base: TuneOutcome["base"]): Promise<TuneOutcome> {
    const { size, windows } = this.#options;
    const ranked = this.#ranked();
    const [first] = ranked;
    if (first === undefined) throw new Error("no candidate reached the last rung");
    const front = frontOf(ranked).filter(({ id }) => id !== first.id);
    const others = [...front, ...ranked.filter((one) => one !== first && !front.includes(one))];
    const finalists = [first, ...others].slice(0, size.finalistCount);
    const heldOut = new Map<number, Judgement>();
    await Promise.all(
      finalists.map(async ({ id, settings }) => {
        heldOut.set(id, await this.#fly(`candidate ${id}`, settings, windows.heldOut));
      }),
    );
    const withHeldOut = (one: (typeof ranked)[number]): TunedCandidate => {
      const own = heldOut.get(one.id);
      return own === undefined ? one : { ...one, heldOut: own };
    };
    const ofBest = heldOut.get(first.id);
    if (ofBest === undefined) throw new Error("the best candidate was not judged");
    return {
      base,
      best: { ...first, heldOut: ofBest },
      candidates: ranked.map(withHeldOut),
      givenUpCount: this.#search.ranking().length - ranked.length,
      flown: this.#flown,
    };
  }

  /** Those of the last rung, the best first. */
  #ranked(): readonly Omit<TunedCandidate, "heldOut">[] {
    return [...this.#judged.values()].sort(
      (left, right) => order(left.train.value, right.train.value) || left.id - right.id,
    );
  }

  /** Every seed of a stretch. */
  async #fly(label: string, settings: Settings, { span, seeds }: Stretch): Promise<Judgement> {
    const flights = await Promise.all(
      seeds.map(
        (seed) =>
          new Promise<Figures>((resolve, reject) => {
            this.#queue.push({ label, wish: { settings, span, seed }, resolve, reject });
            this.#start();
          }),
      ),
    );
    const values = flights.map((figures) => this.#options.objective.of(figures));
    const value = values.reduce((sum, one) => sum + one, 0) / values.length;
    return { value, values, flights };
  }

  /** Starts what may fly, the longest first and of those the first asked for. */
  #start(): void {
    const { jobCount } = this.#options;
    while (this.#flying < jobCount && this.#queue.length > 0 && !this.#isOver) {
      const next = this.#queue.reduce((best, task) =>
        lengthOf(task) > lengthOf(best) ? task : best,
      );
      this.#queue = this.#queue.filter((task) => task !== next);
      this.#flying += 1;
      void this.#flyTask(next);
    }
  }

  async #flyTask({ label, wish, resolve, reject }: Task): Promise<void> {
    try {
      const figures = await this.#options.fly(wish);
      this.#flown += 1;
      this.#flownMs += wish.span.untilMs - wish.span.fromMs;
      resolve(figures);
    } catch (error) {
      this.#isOver = true;
      const set = Object.entries(wish.settings).map(([name, value]) => `${name}=${value}`);
      const what = `${label} (${set.join(",") || "nothing set"}), seed ${wish.seed}`;
      reject(error instanceof PlatformError ? error : failed(what, error));
    }
    this.#flying -= 1;
    if (this.#isOver) return;
    this.#tell();
    this.#start();
  }

  #tell(): void {
    const { size, windows, onProgress } = this.#options;
    const [best] = this.#ranked();
    onProgress?.({
      flown: this.#flown,
      runs: size.runs,
      flownMs: this.#flownMs,
      plannedMs: flightMsOf(size, windows),
      rung: this.#rung,
      rungCount: windows.rungs.length,
      candidates: this.#search.ranking().length,
      ...(this.#base === undefined ? {} : { base: this.#base }),
      ...(best === undefined ? {} : { best }),
    });
  }

  #named(settings: readonly Setting[]): Settings {
    const { parameters } = this.#options;
    return Object.fromEntries(parameters.map(({ name }, at) => [name, settings[at] ?? ""]));
  }
}

function lengthOf({ wish: { span } }: Task): number {
  return span.untilMs - span.fromMs;
}

function failed(what: string, cause: unknown): Error {
  return new Error(`the flight of ${what} failed: ${messageOf(cause)}`, { cause });
}

/** As numbers are ordered, two infinities being equal. */
function order(left: number, right: number): number {
  return left === right ? 0 : left - right;
}

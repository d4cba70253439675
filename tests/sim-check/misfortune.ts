/**
 * What goes wrong in a run, drawn from its seed: which kinds at all, how often, and when.
 *
 * Each kind is on in half of the seeds. Faults of many kinds at once hide each other (a server
 * that dies every minute never shows what a full queue does), so every seed has a mix of its own.
 */
import { MS_PER_MINUTE, type Rng } from "../../core/index.ts";

/** Kinds of faults. */
export const FAULT_KINDS = [
  "server crash",
  "agent crash",
  "link cut",
  "link stall",
  "clock jump",
  "cloud lies",
  "cloud outage",
  "shortage",
  "reclaim storm",
  "stray machine",
  "queue away",
  "queue lost",
  "store away",
  "bad containers",
  "bad solver",
  "cancel",
  "operator",
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

/** Mean time between two of a kind, in ticks of half a second. */
const EVERY_TICKS: Readonly<Partial<Record<FaultKind, number>>> = {
  "server crash": 60,
  "agent crash": 120,
  "link cut": 50,
  "link stall": 80,
  "clock jump": 150,
  "cloud outage": 150,
  shortage: 80,
  "reclaim storm": 120,
  "stray machine": 150,
  "queue away": 100,
  "queue lost": 150,
  "store away": 100,
  cancel: 80,
  operator: 50,
};

export const JUMP_MS = 5 * MS_PER_MINUTE;

/** The faults of one run. */
export class Misfortune {
  readonly #on: ReadonlySet<FaultKind>;
  readonly #chances: ReadonlyMap<FaultKind, Rng>;

  constructor(rng: Rng) {
    const which = rng.fork("kinds");
    this.#on = new Set(FAULT_KINDS.filter(() => which.below(2) === 0));
    this.#chances = new Map(FAULT_KINDS.map((kind) => [kind, rng.fork(kind)]));
  }

  /** The kinds that this run has. */
  get kinds(): readonly FaultKind[] {
    return [...this.#on];
  }

  has(kind: FaultKind): boolean {
    return this.#on.has(kind);
  }

  /** Whether one of the kind happens at this tick; `draw` then says how. */
  strikes(kind: FaultKind): boolean {
    const every = EVERY_TICKS[kind];
    if (every === undefined || !this.#on.has(kind)) return false;
    return this.draw(kind).below(every) === 0;
  }

  /** Chance of that kind alone, so that a new draw for one does not shift another. */
  draw(kind: FaultKind): Rng {
    const rng = this.#chances.get(kind);
    if (rng === undefined) throw new Error(`no chance is kept for ${kind}`);
    return rng;
  }
}

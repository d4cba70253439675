/** Faults that wait for the calls they match. */
import { assertNever, type Rng } from "../../../core/index.ts";
import type { QueryParams } from "./query.ts";

/** What happens instead of the proper answer. */
export type FaultEffect =
  /** An error document with this code and status. */
  | {
      readonly kind: "error";
      readonly code: string;
      readonly status: number;
      readonly message?: string;
    }
  /** The socket is reset with no answer. */
  | { readonly kind: "reset" }
  /** No answer, with the socket open, until the client gives up or the emulator closes. */
  | { readonly kind: "hang" }
  /** A foreign body, such as the page of a proxy. */
  | {
      readonly kind: "body";
      readonly status: number;
      readonly contentType: string;
      readonly body: string;
    };

/** A fault and the calls it strikes. */
export interface Fault {
  readonly effect: FaultEffect;
  /** `after`: the call takes effect and only its answer is replaced. */
  readonly when: "before" | "after";
  /** Absent matches every action. */
  readonly action?: string;
  /** Absent matches every region. */
  readonly region?: string;
  /** Parameters that the call must have, with exactly these values. */
  readonly params?: Readonly<Record<string, string>>;
  /** Matching calls that pass before the first that is struck; 0 when absent. */
  readonly skipCount?: number;
  /**
   * Calls that are struck, each try of a client counted; absent means 1, or without end for a
   * fault that strikes by chance.
   */
  readonly times?: number;
  /** Chance that a matching call is struck, 0..1, drawn from the emulator's seed; 1 when absent. */
  readonly fraction?: number;
}

interface WaitingFault {
  readonly fault: Fault;
  skipsLeft: number;
  timesLeft: number;
}

/** The faults in force, oldest first. */
export class FaultBoard {
  readonly #rng: Rng;
  #waiting: WaitingFault[] = [];

  constructor(rng: Rng) {
    this.#rng = rng;
  }

  add(fault: Fault): void {
    const { skipCount = 0, times = fault.fraction === undefined ? 1 : Infinity } = fault;
    this.#waiting.push({ fault, skipsLeft: skipCount, timesLeft: times });
  }

  clear(): void {
    this.#waiting = [];
  }

  /** The oldest fault that strikes this call, counted as used. */
  take(action: string, region: string, params: QueryParams): Fault | undefined {
    for (const waiting of this.#waiting) {
      if (!strikes(waiting.fault, action, region, params)) continue;
      const { fraction = 1 } = waiting.fault;
      if (fraction < 1 && this.#rng.next() >= fraction) continue;
      if (waiting.skipsLeft > 0) {
        waiting.skipsLeft -= 1;
        continue;
      }
      waiting.timesLeft -= 1;
      if (waiting.timesLeft <= 0) this.#waiting = this.#waiting.filter((one) => one !== waiting);
      return waiting.fault;
    }
    return undefined;
  }
}

/** One word for a journal: what was done to the call. */
export function describeEffect(effect: FaultEffect): string {
  switch (effect.kind) {
    case "error":
      return effect.code;
    case "body":
      return `body ${effect.status}`;
    case "hang":
    case "reset":
      return effect.kind;
    default:
      return assertNever(effect, "fault effect");
  }
}

function strikes(fault: Fault, action: string, region: string, params: QueryParams): boolean {
  if (fault.action !== undefined && fault.action !== action) return false;
  if (fault.region !== undefined && fault.region !== region) return false;
  return Object.entries(fault.params ?? {}).every(([name, value]) => params.get(name) === value);
}

/** Faults that wait for the calls they match; what a fault does is the emulator's own affair. */

/** Which calls a fault strikes, and when it does. */
export interface FaultSelector {
  /** `after`: the call takes effect and only its answer is replaced. */
  readonly when: "before" | "after";
  /** Absent matches every action. */
  readonly action?: string;
  /** Region or zone; absent matches every place. */
  readonly place?: string;
  /** Parameters that the call must have, with exactly these values. */
  readonly params?: Readonly<Record<string, string>>;
  /** Share of the matching calls that is struck, drawn by the emulator's seed; 1 when absent. */
  readonly fraction?: number;
  /** Matching calls that pass before the first that is struck; 0 when absent. */
  readonly skipCount?: number;
  /**
   * Calls that are struck, each try of a client counted; absent means 1, or without end for a
   * fault that strikes by chance.
   */
  readonly times?: number;
}

/** The parts of a call that a selector looks at. */
export interface FaultableCall {
  readonly action: string;
  readonly place: string;
  readonly params: ReadonlyMap<string, string>;
}

interface Waiting<Fault> {
  readonly fault: Fault;
  skipsLeft: number;
  timesLeft: number;
}

/** The faults in force, oldest first. */
export class FaultBoard<Fault extends FaultSelector> {
  readonly #draw: () => number;
  #waiting: readonly Waiting<Fault>[] = [];

  /** @param draw uniform in [0, 1), for faults with a `fraction`. */
  constructor(draw: () => number) {
    this.#draw = draw;
  }

  add(fault: Fault): void {
    const { skipCount: skipsLeft = 0, fraction } = fault;
    const { times: timesLeft = fraction === undefined ? 1 : Infinity } = fault;
    this.#waiting = [...this.#waiting, { fault, skipsLeft, timesLeft }];
  }

  clear(): void {
    this.#waiting = [];
  }

  /** The oldest fault that strikes this call, counted as used; undefined when none does. */
  take(call: FaultableCall): Fault | undefined {
    const struck = this.#waiting.find((waiting) => this.#strikes(waiting, call));
    if (struck === undefined) return undefined;
    struck.timesLeft -= 1;
    if (struck.timesLeft === 0) this.#waiting = this.#waiting.filter((one) => one !== struck);
    return struck.fault;
  }

  #strikes(waiting: Waiting<Fault>, call: FaultableCall): boolean {
    const { action = call.action, place = call.place, params = {}, fraction } = waiting.fault;
    if (action !== call.action || place !== call.place) return false;
    if (Object.entries(params).some(([name, value]) => call.params.get(name) !== value)) {
      return false;
    }
    if (waiting.skipsLeft > 0) {
      waiting.skipsLeft -= 1;
      return false;
    }
    return fraction === undefined || this.#draw() < fraction;
  }
}

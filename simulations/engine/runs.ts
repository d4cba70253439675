/** Inputs that run, by number: flat lists, so that millions of them make no garbage. */
import type { Container } from "./function-state.ts";

/** Runs that were written down; containers by id. Plain data. */
export interface RunsState {
  readonly containerIds: readonly (string | undefined)[];
  readonly arrivedMs: Float64Array<ArrayBuffer>;
  readonly slotMs: Float64Array<ArrayBuffer>;
  readonly beganMs: Float64Array<ArrayBuffer>;
  readonly serviceMs: Float64Array<ArrayBuffer>;
  readonly free: number[];
}

export class Runs {
  #containers: (Container | undefined)[] = [];
  #arrivedMs = new Float64Array(256);
  #slotMs = new Float64Array(256);
  #beganMs = new Float64Array(256);
  #serviceMs = new Float64Array(256);
  #free: number[] = [];

  /** A run in `container`; gives its number. */
  begin(
    container: Container,
    arrivedMs: number,
    slotMs: number,
    beganMs: number,
    serviceMs: number,
  ): number {
    let run = this.#free.pop();
    if (run === undefined) {
      run = this.#containers.length;
      if (run === this.#arrivedMs.length) this.#grow();
      this.#containers.push(container);
    } else {
      this.#containers[run] = container;
    }
    this.#arrivedMs[run] = arrivedMs;
    this.#slotMs[run] = slotMs;
    this.#beganMs[run] = beganMs;
    this.#serviceMs[run] = serviceMs;
    return run;
  }

  /** The container of a run; undefined when it was cut short. */
  containerOf(run: number): Container | undefined {
    return this.#containers[run];
  }

  /** Runs that are under way, with their containers. */
  *open(): Iterable<readonly [number, Container]> {
    for (const [run, container] of this.#containers.entries()) {
      if (container !== undefined) yield [run, container];
    }
  }

  arrivedMs(run: number): number {
    return this.#arrivedMs[run] ?? 0;
  }

  slotMs(run: number): number {
    return this.#slotMs[run] ?? 0;
  }

  beganMs(run: number): number {
    return this.#beganMs[run] ?? 0;
  }

  serviceMs(run: number): number {
    return this.#serviceMs[run] ?? 0;
  }

  /** Ends a run early: its number stays taken until its end comes up. */
  cut(run: number): void {
    this.#containers[run] = undefined;
  }

  /** The end of a run has come up: its number is free again. */
  end(run: number): void {
    this.#containers[run] = undefined;
    this.#free.push(run);
  }

  /** What it holds. */
  save(): RunsState {
    return {
      containerIds: this.#containers.map((container) => container?.containerId),
      arrivedMs: this.#arrivedMs,
      slotMs: this.#slotMs,
      beganMs: this.#beganMs,
      serviceMs: this.#serviceMs,
      free: this.#free,
    };
  }

  /** Takes the place of what it holds. */
  resume(state: RunsState, containers: ReadonlyMap<string, Container>): void {
    this.#containers = state.containerIds.map((id) => containers.get(id ?? ""));
    this.#arrivedMs = state.arrivedMs;
    this.#slotMs = state.slotMs;
    this.#beganMs = state.beganMs;
    this.#serviceMs = state.serviceMs;
    this.#free = state.free;
  }

  #grow(): void {
    const grown = (before: Float64Array): Float64Array<ArrayBuffer> => {
      const after = new Float64Array(2 * before.length);
      after.set(before);
      return after;
    };
    this.#arrivedMs = grown(this.#arrivedMs);
    this.#slotMs = grown(this.#slotMs);
    this.#beganMs = grown(this.#beganMs);
    this.#serviceMs = grown(this.#serviceMs);
  }
}

/**
 * The life of one process: a crash ends it before or after any call that it makes of the world.
 *
 * Every port of the process goes through `port`. A call of a dead process has no effect and its
 * answer never comes, so whatever waits for it goes no further: as after `kill -9`, wherever the
 * process was. The world outside (stores, clouds, agents) keeps what had taken effect.
 */
export interface CrashPoint {
  /** Calls from now on until it happens. */
  readonly step: number;
  /** Before the call takes effect, or after it, with its answer lost. */
  readonly when: "before" | "after";
}

/** A failure of one call; `after` loses the answer of a call that took effect. */
export interface CallFault {
  readonly error: Error;
  readonly when: "before" | "after";
}

/** How a call of a port fails, if it does. */
export type FaultSource = (call: string) => CallFault | undefined;

const never = (): Promise<never> => new Promise(() => undefined);

export class Lifetime {
  readonly #onDeath: (where: string) => void;
  #isDead = false;
  #crash: CrashPoint | undefined;
  #steps = 0;

  /** @param onDeath told where it ended, such as `after ledger.recordResults`. */
  constructor(onDeath: (where: string) => void) {
    this.#onDeath = onDeath;
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  /** It ends at that call, counted from now. */
  crashAt(point: CrashPoint): void {
    this.#crash = point;
    this.#steps = 0;
  }

  /** It ends here. */
  die(where: string): void {
    if (this.#isDead) return;
    this.#isDead = true;
    this.#onDeath(where);
  }

  /** The same port, as this process has it; every method of it answers by a promise. */
  port<Port extends object>(name: string, port: Port, faultOf?: FaultSource): Port {
    return new Proxy(port, {
      get: (target, key): unknown => {
        const member: unknown = Reflect.get(target, key, target);
        if (typeof member !== "function") return member;
        const call = `${name}.${String(key)}`;
        return (...given: unknown[]): unknown =>
          this.#call(call, () => Reflect.apply(member, target, given) as unknown, faultOf);
      },
    });
  }

  #call(call: string, apply: () => unknown, faultOf: FaultSource | undefined): unknown {
    if (this.#isDead) return never();
    const crash = this.#crash?.step === this.#steps ? this.#crash : undefined;
    this.#steps += 1;
    if (crash?.when === "before") {
      this.die(`before ${call}`);
      return never();
    }
    const fault = faultOf?.(call);
    if (fault?.when === "before") return this.#answer(Promise.reject(fault.error));
    const answer = Promise.resolve(apply());
    if (crash !== undefined) {
      answer.catch(() => undefined);
      this.die(`after ${call}`);
      return never();
    }
    if (fault === undefined) return this.#answer(answer);
    return this.#answer(
      answer.then(() => {
        throw fault.error;
      }),
    );
  }

  #answer<Value>(answer: Promise<Value>): Promise<Value> {
    return answer.then(
      (value) => (this.#isDead ? never() : value),
      (error: unknown) => {
        if (this.#isDead) return never();
        throw error;
      },
    );
  }
}

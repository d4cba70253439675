/**
 * Operations: what the cloud does after it has answered.
 *
 * An operation is RUNNING until it is finished, and then DONE; whether it went well is told only
 * by its `error`. The same request id for the same method and place gives the same operation.
 */
import type { Clock, Rng } from "../../../core/index.ts";
import { decimalDigits } from "./fleet.ts";

/** An error inside a DONE operation. */
export interface OperationError {
  /** Such as `ZONE_RESOURCE_POOL_EXHAUSTED`. */
  readonly code: string;
  readonly message: string;
  /** The HTTP status that the operation shows. */
  readonly status: number;
  readonly details?: readonly object[];
}

/** How many machines of a bulk insert there are. */
export interface BulkCounts {
  readonly target: number;
  readonly created: number;
}

/** What is known when an operation begins. */
export interface OperationStart {
  /** Such as `insert` or `compute.instances.preempted`. */
  readonly operationType: string;
  /** A zone; absent for a global operation. */
  readonly zone?: string;
  /** Such as `zones/z/instances/n`; absent when there are many. */
  readonly target?: string;
  readonly targetId?: string;
  readonly groupId?: string;
  readonly error?: OperationError;
  readonly bulk?: BulkCounts;
  /** `system` for what the cloud does by itself. */
  readonly user?: string;
  readonly statusMessage?: string;
}

export interface Operation extends OperationStart {
  readonly name: string;
  readonly numericId: string;
  readonly sequence: number;
  readonly startedAtMs: number;
  readonly finished: Promise<void>;
  doneAtMs?: number;
  /** The request that stands for it, if one does. */
  requestKey?: string;
}

/** The oldest are forgotten beyond this many, as Compute Engine forgets them after some time. */
const OPERATION_COUNT_MAX = 50_000;

interface OperationsOptions {
  readonly clock: Clock;
  readonly rng: Rng;
}

/** All operations of one emulator, in the order they began. */
export class Operations {
  readonly #options: OperationsOptions;
  readonly #operations = new Map<string, Operation>();
  readonly #finishers = new Map<Operation, () => void>();
  readonly #byRequest = new Map<string, Operation>();
  #count = 0;

  constructor(options: OperationsOptions) {
    this.#options = options;
  }

  all(): readonly Operation[] {
    return [...this.#operations.values()];
  }

  find(name: string): Operation | undefined {
    return this.#operations.get(name);
  }

  /** Begins an operation, which is DONE when `work` resolves; without work it is DONE at once. */
  begin(start: OperationStart, work?: Promise<unknown>): Operation {
    const { clock, rng } = this.#options;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const nowMs = clock.nowMs();
    const operation: Operation = {
      ...start,
      name: `operation-${nowMs}-${decimalDigits(rng, 12)}`,
      numericId: decimalDigits(rng, 19),
      sequence: this.#count,
      startedAtMs: nowMs,
      finished: promise,
    };
    this.#count += 1;
    this.#operations.set(operation.name, operation);
    this.#forgetOldest();
    this.#finishers.set(operation, () => resolve(undefined));
    if (work === undefined) this.#finish(operation);
    else void work.then(() => this.#finish(operation));
    return operation;
  }

  /** The operation that a request id stands for; undefined when it was not used. */
  ofRequest(key: string): Operation | undefined {
    return this.#byRequest.get(key);
  }

  /** From now on the key stands for the operation. */
  remember(key: string, operation: Operation): void {
    operation.requestKey = key;
    this.#byRequest.set(key, operation);
  }

  #forgetOldest(): void {
    if (this.#operations.size <= OPERATION_COUNT_MAX) return;
    const [oldest] = this.#operations.values();
    if (oldest === undefined) return;
    this.#operations.delete(oldest.name);
    const { requestKey } = oldest;
    if (requestKey !== undefined && this.#byRequest.get(requestKey) === oldest) {
      this.#byRequest.delete(requestKey);
    }
  }

  #finish(operation: Operation): void {
    operation.doneAtMs = this.#options.clock.nowMs();
    this.#finishers.get(operation)?.();
    this.#finishers.delete(operation);
  }
}

/** A group id, as the operations of one bulk insert share it. */
export function newGroupId(rng: Rng): string {
  const digits = decimalDigits(rng, 32);
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

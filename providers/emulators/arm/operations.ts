/** Long-running operations, as their status addresses show them. */
import type { Clock } from "../../../core/index.ts";

/** Why an operation failed, in Azure's words. */
export interface OperationFailure {
  readonly code: string;
  readonly message: string;
  /** A narrower code below `code`, with a message of its own. */
  readonly inner?: { readonly code: string; readonly message: string };
}

/** One operation; its status is that of the document at its address. */
export interface Operation {
  readonly operationId: string;
  /** Such as `Microsoft.Compute`. */
  readonly namespace: string;
  readonly location: string;
  readonly startedAtMs: number;
  status: "InProgress" | "Succeeded" | "Failed" | "Canceled";
  endedAtMs?: number;
  failure?: OperationFailure;
}

/** Operations that ended stay readable until so many newer ones exist. */
const OPERATION_COUNT_MAX = 40_000;

/** All operations of one emulator. */
export class OperationBoard {
  readonly #clock: Clock;
  readonly #newId: () => string;
  readonly #operations = new Map<string, Operation>();

  constructor(clock: Clock, newId: () => string) {
    this.#clock = clock;
    this.#newId = newId;
  }

  /** A new operation in progress. */
  start(namespace: string, location: string): Operation {
    const operation: Operation = {
      operationId: this.#newId(),
      namespace,
      location,
      startedAtMs: this.#clock.nowMs(),
      status: "InProgress",
    };
    this.#operations.set(operation.operationId, operation);
    const [oldest] = this.#operations.keys();
    if (this.#operations.size > OPERATION_COUNT_MAX && oldest !== undefined) {
      this.#operations.delete(oldest);
    }
    return operation;
  }

  find(operationId: string): Operation | undefined {
    return this.#operations.get(operationId);
  }

  /** Ends an operation; one that has ended keeps its first end. */
  end(operation: Operation, failure?: OperationFailure): void {
    if (operation.status !== "InProgress") return;
    operation.endedAtMs = this.#clock.nowMs();
    operation.status = failure === undefined ? "Succeeded" : "Failed";
    if (failure !== undefined) operation.failure = failure;
  }
}

/** The document at an operation's address. */
export function operationDocument(operation: Operation): Readonly<Record<string, unknown>> {
  const { operationId, startedAtMs, endedAtMs, status, failure } = operation;
  return {
    startTime: new Date(startedAtMs).toISOString(),
    ...(endedAtMs === undefined ? {} : { endTime: new Date(endedAtMs).toISOString() }),
    status,
    name: operationId,
    ...(failure === undefined ? {} : { error: failureDocument(failure) }),
  };
}

function failureDocument({ code, message, inner }: OperationFailure) {
  return { code, message, ...(inner === undefined ? {} : { innererror: inner }) };
}

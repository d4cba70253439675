/** An input on its way through this server, and its name on the agent link. */
import type { InputRef } from "../store/record-store.ts";
import type { LeasedRange } from "./function-queue.ts";

/** A range taken from the queue and how many of its inputs still lack a result. */
export interface LocalLease {
  readonly range: LeasedRange;
  openCount: number;
}

/** An input that this server holds: waiting here or in a container. */
export interface LocalInput extends InputRef {
  readonly inputId: string;
  readonly payload: Uint8Array;
  readonly lease: LocalLease | undefined;
  /** Times it was handed to a container. */
  attempts: number;
  /** Those of them whose container the platform itself ended: held against nobody. */
  excusedAttempts: number;
  /** Those of them that failed and were tried again; held against it by its retries alone. */
  failures: number;
  /** It was in a container that died while several ran: it runs alone from now on. */
  suspect: boolean;
  /** Of a generator whose values are read as they are yielded: how many are stored. */
  readonly stream?: { valueCount: number };
}

/** The name of an input on the agent link. */
export function inputIdOf(ref: InputRef): string {
  return `${ref.callId}.${ref.index}`;
}

/** The reverse of `inputIdOf`; undefined when the text is no input's name. */
export function inputRefOf(inputId: string): InputRef | undefined {
  const dot = inputId.lastIndexOf(".");
  const index = Number(inputId.slice(dot + 1));
  if (dot <= 0 || !Number.isSafeInteger(index) || index < 0) return undefined;
  return { callId: inputId.slice(0, dot), index };
}

/** Payloads of inputs accepted a moment ago, so that handing them out need not read them back. */
import type { InputRef } from "../store/record-store.ts";
import { inputIdOf } from "./input.ts";

/** Bytes kept before the oldest go; each entry counts some overhead. */
const BYTES_MAX = 64 * 1024 * 1024;
const ENTRY_BYTES = 200;

export class PayloadCache {
  readonly #payloads = new Map<string, Uint8Array>();
  #bytes = 0;

  put(ref: InputRef, payload: Uint8Array): void {
    this.#payloads.set(inputIdOf(ref), payload);
    this.#bytes += payload.byteLength + ENTRY_BYTES;
    for (const [inputId, oldest] of this.#payloads) {
      if (this.#bytes <= BYTES_MAX) return;
      this.#drop(inputId, oldest);
    }
  }

  /** Takes a payload out; undefined when it was dropped or came through another server. */
  take(ref: InputRef): Uint8Array | undefined {
    const inputId = inputIdOf(ref);
    const payload = this.#payloads.get(inputId);
    if (payload !== undefined) this.#drop(inputId, payload);
    return payload;
  }

  #drop(inputId: string, payload: Uint8Array): void {
    this.#payloads.delete(inputId);
    this.#bytes -= payload.byteLength + ENTRY_BYTES;
  }
}

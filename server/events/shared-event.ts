/**
 * An event as all its readers on this server share it: decoded once, and put once into the form
 * in which it is sent, however many follow.
 */
import type { PlatformEvent } from "../../sdk/protocol/index.ts";

const TEXT = new TextEncoder();

export class SharedEvent {
  readonly event: PlatformEvent;
  #frame: Uint8Array | undefined;

  constructor(event: PlatformEvent) {
    this.event = event;
  }

  /** The bytes of a server-sent event; JSON never holds a line break. */
  get frame(): Uint8Array {
    const { event } = this;
    this.#frame ??= TEXT.encode(`id: ${event.eventId}\ndata: ${JSON.stringify(event)}\n\n`);
    return this.#frame;
  }
}

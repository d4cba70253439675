/** Sends a runner what is large: without a copy, and with an end that can be waited for. */
import type { Writable } from "node:stream";
import { encodeFrameHead } from "../../sdk/protocol/index.ts";
import type { ToRunner } from "../runners/protocol.ts";

/** Resolves when the runner has read it up to the socket's buffer, or is gone. */
export function sendWhole(
  channel: Writable | undefined,
  message: ToRunner,
  body: Uint8Array,
): Promise<void> {
  if (channel?.writable !== true) return Promise.resolve();
  // The callback has an error when the container has ended, which others tell.
  return new Promise((resolve) => {
    channel.write(encodeFrameHead(message, body.byteLength));
    channel.write(body, () => resolve());
  });
}

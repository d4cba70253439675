import { createServer, get, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import type { PlatformEvent } from "../../sdk/protocol/index.ts";
import { SharedEvent } from "../events/shared-event.ts";
import { writeEvents } from "./event-stream.ts";

/** A clock on which every wait is over at once. */
const hurried = { sleep: async () => Promise.resolve() };
const MIB = 1024 * 1024;
const big: PlatformEvent = {
  eventId: "1-0",
  atMs: 1,
  kind: "log",
  stream: "stdout",
  text: "x".repeat(MIB / 16),
  sequence: 1,
};

let server: Server;
afterEach(() => server.close());

/** Streams `count` events of 64 KiB to one client, and gives what was pulled and buffered. */
const stream = async (count: number, onResponse: (response: IncomingMessage) => void) => {
  const seen = { pulled: 0, bufferedMax: 0 };
  const finished = Promise.withResolvers<undefined>();
  server = createServer((_request, response) => {
    const events = async function* () {
      for (; seen.pulled < count; seen.pulled += 1) {
        yield [new SharedEvent(big)];
        seen.bufferedMax = Math.max(seen.bufferedMax, response.writableLength);
        // Lets the sockets of this process take their turns.
        await new Promise((resume) => setImmediate(resume));
      }
    };
    const { signal } = new AbortController();
    writeEvents(response, events(), { clock: hurried, signal }).then(
      () => finished.resolve(undefined),
      finished.reject,
    );
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo;
  get({ port, host: "127.0.0.1" }, onResponse).on("error", () => undefined);
  await finished.promise;
  return seen;
};

test("a client that does not read is cut when 1 MiB waits for it", async () => {
  const seen = await stream(10_000, (response) => {
    response.on("error", () => undefined);
    response.pause();
  });
  expect(seen.pulled).toBeLessThan(10_000);
  expect(seen.bufferedMax).toBeLessThan(2 * MIB);
});

test("a client that reads gets everything", async () => {
  let bytes = 0;
  const seen = await stream(100, (response) => {
    response.on("data", (chunk: Buffer) => (bytes += chunk.byteLength));
  });
  expect(seen.pulled).toBe(100);
  await expect.poll(() => bytes).toBeGreaterThan((100 * MIB) / 16);
});

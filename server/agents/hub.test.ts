import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import { encodeFrame } from "../../sdk/protocol/index.ts";
import { systemClock } from "../system-clock.ts";
import { AgentHub } from "./hub.ts";

const closers: (() => void)[] = [];

afterEach(() => {
  for (const close of closers.splice(0)) close();
});

test("a link whose greeting fails is cut, so that its agent comes again and is heard", async () => {
  const errors: string[] = [];
  let greetings = 0;
  const hub = new AgentHub({
    events: {
      identify: () => Promise.resolve({ nodeId: "no_1", sessionToken: "session" }),
      arrived: () => {
        greetings += 1;
        return greetings === 1
          ? Promise.reject(new Error("the store is away"))
          : Promise.resolve(true);
      },
      message: () => undefined,
      departed: () => undefined,
    },
    clock: systemClock,
    silenceMsMax: 60_000,
    onError: (_error, doing) => errors.push(doing),
  });
  const server = createServer();
  server.on("upgrade", (request, socket, head) => hub.handleUpgrade(request, socket, head));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  closers.push(() => {
    hub.close();
    server.close();
  });
  const greet = (): WebSocket => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/v1/agent`);
    socket.on("open", () => socket.send(encodeFrame({ type: "hello" })));
    closers.push(() => socket.terminate());
    return socket;
  };
  const first = greet();
  await new Promise((resolve) => first.on("close", resolve));
  expect(errors).toEqual(["greeting node no_1"]);
  const second = greet();
  await expect.poll(() => greetings).toBe(2);
  expect(second.readyState).toBe(WebSocket.OPEN);
});

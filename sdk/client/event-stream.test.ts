import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { NotFoundError } from "../errors.ts";
import { Client } from "./client.ts";
import { streamEvents } from "./event-stream.ts";

const EVENT_COUNT = 40;

let server: Server;
let client: Client;
/** What each connection is answered with, in turn; later ones are as the last. */
let answers: ((after: number) => string | number)[];
let asked: number[];

const eventText = (id: number): string =>
  `id: ${id}-0\ndata: ${JSON.stringify({ eventId: `${id}-0`, kind: "log", sequence: id })}\n\n`;
const from = (after: number): string =>
  Array.from({ length: EVENT_COUNT - after }, (_, index) => eventText(after + index + 1)).join("");

beforeEach(async () => {
  asked = [];
  server = createServer((request, response) => {
    const after = Number.parseInt(
      new URL(`http://x${request.url ?? ""}`).searchParams.get("after") ?? "0",
      10,
    );
    asked.push(after);
    const answer = answers[Math.min(asked.length, answers.length) - 1]?.(after) ?? 500;
    if (typeof answer === "number") {
      response.writeHead(answer, { "content-type": "application/problem+json" });
      const code = answer === 503 ? "unavailable" : "not_found";
      response.end(JSON.stringify({ status: answer, code, detail: "no" }));
      return;
    }
    response.writeHead(200, { "content-type": "text/event-stream" });
    // Cut off, in the middle of whatever it is.
    response.write(answer, () => request.socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  client = new Client({ serverUrl: `http://127.0.0.1:${port}`, token: "fl_x" });
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

async function read(): Promise<string[]> {
  const ending = new AbortController();
  const seen: string[] = [];
  for await (const { eventId } of streamEvents(client, { after: "0" }, { signal: ending.signal })) {
    seen.push(eventId);
    if (seen.length === EVENT_COUNT) ending.abort();
  }
  return seen;
}
const ALL = Array.from({ length: EVENT_COUNT }, (_, index) => `${index + 1}-0`);

test("however often and wherever the connection breaks, each event comes once, in order", async () => {
  for (const bytes of [1, 37, 100, 250, 1_000]) {
    asked = [];
    // A first one that breaks at any byte, and others that give at least one event.
    answers = [
      (after) => from(after).slice(0, bytes),
      (after) => from(after).slice(0, eventText(after + 1).length + bytes),
    ];
    expect(await read()).toEqual(ALL);
    expect(asked.length).toBeGreaterThan(1);
  }
});

test("a server that is stopping or busy is asked again, once it has been heard", async () => {
  answers = [(after) => from(after).slice(0, 200), () => 503, () => 503, from];
  expect(await read()).toEqual(ALL);
});

test("a refusal that will stay is told", async () => {
  answers = [(after) => from(after).slice(0, 200), () => 404];
  await expect(read()).rejects.toThrow(NotFoundError);
});

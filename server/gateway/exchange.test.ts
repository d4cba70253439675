import { text } from "node:stream/consumers";
import { beforeEach, describe, expect, test } from "vitest";
import type { Piece } from "../../sandbox/index.ts";
import { ContainerStreams } from "./container-streams.ts";
import { Exchange, type Opening } from "./exchange.ts";

const NOTHING = new Uint8Array(0);
const HEAD = { kind: "head", status: 200, headers: [] } as const;

let now: number;
let sent: { containerId: string; piece: Piece }[];
let begun: number;
let opening: Opening | undefined;

beforeEach(() => {
  now = 0;
  sent = [];
  begun = 0;
  opening = undefined;
});

function exchangeOf(streamsBody = false): Exchange {
  const exchange = new Exchange({
    streamId: "ca_1.0",
    streamsBody,
    untilMs: 1_000,
    nowMs: () => now,
    send: (containerId, piece) => sent.push({ containerId, piece }),
    onBegun: () => (begun += 1),
  });
  void exchange.opening.then((known) => (opening = known));
  return exchange;
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("before the head", () => {
  test("an input has what is left of its client's patience", () => {
    const exchange = exchangeOf();
    now = 400;
    expect(exchange.claim("co_1")).toEqual({ withinMs: 600 });
    now = 5_000;
    expect(exchange.claim("co_1")).toEqual({ withinMs: 0 });
  });

  test("a body that cannot be sent twice is not kept for later", () => {
    const exchange = exchangeOf(true);
    now = 1_000;
    expect(exchange.claim("co_1")).toBe("unwanted");
  });

  test("a lost container means another one, where the body is with the input", async () => {
    const exchange = exchangeOf();
    exchange.claim("co_1");
    exchange.take("co_1", { kind: "begin" }, NOTHING);
    exchange.gone();
    expect(exchange.hasBegun).toBe(false);
    expect(exchange.claim("co_2")).toEqual({ withinMs: 1_000 });
    // What the first one still says is nobody's.
    exchange.take("co_1", HEAD, NOTHING);
    await settled();
    expect(opening).toBeUndefined();
    exchange.take("co_2", { kind: "begin" }, NOTHING);
    exchange.take("co_2", HEAD, NOTHING);
    await settled();
    expect(opening).toEqual(HEAD);
    expect(begun).toBe(2);
  });

  test("a lost container is the end of it, where the body went with it", async () => {
    const exchange = exchangeOf(true);
    exchange.claim("co_1");
    exchange.take("co_1", { kind: "begin" }, NOTHING);
    exchange.gone();
    await settled();
    expect(opening).toMatchObject({ kind: "lost" });
    expect(exchange.claim("co_2")).toBe("unwanted");
  });

  test("a streamed body whose input had not begun is not lost with its container", async () => {
    const exchange = exchangeOf(true);
    exchange.claim("co_1");
    exchange.gone();
    await settled();
    expect(opening).toBeUndefined();
    expect(exchange.claim("co_2")).toEqual({ withinMs: 1_000 });
  });

  test("a broken link ends what has begun, and nothing that waits", async () => {
    const waiting = exchangeOf();
    waiting.claim("co_1");
    waiting.cutOff();
    await settled();
    expect(opening).toBeUndefined();
    waiting.take("co_1", { kind: "begin" }, NOTHING);
    waiting.cutOff();
    await settled();
    expect(opening).toMatchObject({ kind: "lost" });
  });
});

describe("from the head on", () => {
  test("it runs nowhere else, and the client's connection breaks with the container", async () => {
    const exchange = exchangeOf();
    exchange.claim("co_1");
    exchange.take("co_1", { kind: "begin" }, NOTHING);
    exchange.take("co_1", HEAD, NOTHING);
    exchange.take("co_1", { kind: "data" }, Buffer.from("half"));
    expect(exchange.claim("co_2")).toBe("unwanted");
    const reading = text(exchange.stream ?? process.stdin);
    exchange.gone();
    await expect(reading).rejects.toThrow("its container ended");
  });

  test("a response that is here as a whole outlives its container", async () => {
    const exchange = exchangeOf();
    exchange.claim("co_1");
    exchange.take("co_1", { kind: "begin" }, NOTHING);
    exchange.take("co_1", HEAD, NOTHING);
    exchange.take("co_1", { kind: "data" }, Buffer.from("whole"));
    exchange.take("co_1", { kind: "end" }, NOTHING);
    exchange.gone();
    let read = "";
    exchange.stream?.on("data", (part: Buffer) => (read += part.toString()));
    await settled();
    expect(read).toBe("whole");
  });

  test("of two heads the first counts", async () => {
    const exchange = exchangeOf();
    exchange.claim("co_1");
    exchange.take("co_1", { kind: "begin" }, NOTHING);
    exchange.take("co_1", { ...HEAD, status: 201 }, NOTHING);
    exchange.take("co_1", HEAD, NOTHING);
    await settled();
    expect(opening).toMatchObject({ status: 201 });
  });
});

test("a client that goes is told to the container that works for it", async () => {
  const exchange = exchangeOf();
  exchange.claim("co_1");
  exchange.take("co_1", { kind: "begin" }, NOTHING);
  exchange.close("the client went away");
  await settled();
  expect(sent.map(({ piece }) => piece.kind)).toContain("reset");
  expect(exchange.claim("co_2")).toBe("unwanted");
});

test("a response that comes too late leaves its container in peace", async () => {
  const exchange = exchangeOf();
  exchange.claim("co_1");
  exchange.take("co_1", { kind: "begin" }, NOTHING);
  exchange.take("co_1", { kind: "detached" }, NOTHING);
  exchange.leave();
  await settled();
  expect(opening).toEqual({ kind: "late" });
  expect(sent).toEqual([]);
});

test("news of a container reach the streams in it alone", async () => {
  const streams = new ContainerStreams();
  const exchange = exchangeOf(true);
  streams.add(exchange);
  exchange.claim("co_1");
  streams.piece("co_2", "ca_1.0", { kind: "begin" }, NOTHING);
  expect(exchange.hasBegun).toBe(false);
  streams.piece("co_1", "ca_1.0", { kind: "begin" }, NOTHING);
  streams.containerGone("co_2");
  streams.containerCutOff("co_3");
  await settled();
  expect(opening).toBeUndefined();
  streams.containerGone("co_1");
  await settled();
  expect(opening).toMatchObject({ kind: "lost" });
  streams.remove(exchange);
  expect(streams.get("ca_1.0")).toBeUndefined();
});

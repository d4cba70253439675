import { createServer, request, type RequestListener, type Server } from "node:http";
import { connect } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FakeClock } from "../fake/clock.ts";
import { createChunkSource, type ChunkStore } from "../store/index.ts";
import { chunkIdOf, encodeChunk } from "../store/chunk.ts";
import { createMemoryTier } from "../store/memory-tier.ts";
import { PeerChunks } from "./peer-chunks.ts";
import { PeerServer, peerUrlOf } from "./peer-server.ts";
import { isPeerTicket, peerKeyOf, peerTicketOf, type ChunkPeer } from "./peer-ticket.ts";

const BYTES = Buffer.from("the bytes of a chunk ".repeat(200));
const ID = chunkIdOf(BYTES);
const ENCODED = await encodeChunk(BYTES);
const KEY = peerKeyOf(Buffer.alloc(32, 1), "no_giver");
const TIMEOUT_MS = 300;

let clock: FakeClock;
let troubles: string[];
let chunks: PeerChunks;
const servers: Server[] = [];
const ticket = (expiresAtMs = 1e9): string =>
  peerTicketOf(KEY, { nodeId: "no_asker", expiresAtMs });

beforeEach(() => {
  clock = new FakeClock();
  troubles = [];
  const onTrouble = (message: string): void => void troubles.push(message);
  chunks = new PeerChunks({ clock, timeoutMs: TIMEOUT_MS, onTrouble });
});
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** A peer that answers as it likes; tells what it was asked. */
async function strange(answer: RequestListener): Promise<ChunkPeer & { readonly asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((asking, response) => {
    asked.push(asking.url ?? "");
    answer(asking, response);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return { url: peerUrlOf("127.0.0.1", port), ticket: ticket(), asked };
}

const sends =
  (bytes: Uint8Array): RequestListener =>
  (_, response) => {
    response.end(bytes);
  };

describe("a ticket", () => {
  test("is good for the node that it is for, until its time is over", () => {
    const text = ticket(5_000);
    expect(isPeerTicket(KEY, text, 4_999)).toBe(true);
    expect(isPeerTicket(KEY, text, 5_000)).toBe(false);
    expect(isPeerTicket(peerKeyOf(Buffer.alloc(32, 1), "no_other"), text, 0)).toBe(false);
    expect(isPeerTicket(peerKeyOf(Buffer.alloc(32, 2), "no_giver"), text, 0)).toBe(false);
  });

  test("that was changed, lengthened or made up is none", () => {
    const text = ticket(5_000);
    const wrong = [
      text.replace("5000", "9000"),
      text.replace("no_asker", "no_asked"),
      text.slice(0, -1),
      `${text}0`,
      text.toUpperCase(),
      `no_asker.5000.${"0".repeat(64)}`,
      "..",
      "",
    ];
    expect(wrong.filter((one) => isPeerTicket(KEY, one, 0))).toEqual([]);
  });
});

describe("a node that gives chunks", () => {
  let store: ChunkStore;
  let giver: PeerServer;
  let errors: string[];

  beforeEach(async () => {
    store = createMemoryTier({ nowMs: () => 0 });
    await store.put(ID, ENCODED);
    errors = [];
    const onError = (_: unknown, doing: string): void => void errors.push(doing);
    giver = await PeerServer.open({ port: 0, host: "127.0.0.1", stores: [store], clock, onError });
    giver.admit(KEY);
  });
  afterEach(async () => {
    await giver.close();
  });

  const url = (): string => peerUrlOf("::ffff:127.0.0.1", giver.port);

  /** The status of a request whose path is sent as it is. */
  const ask = async (
    path: string,
    { method = "GET", authorization = `Bearer ${ticket()}` } = {},
  ): Promise<number> =>
    new Promise((resolve, reject) => {
      const options = { host: "127.0.0.1", port: giver.port, path, method };
      const asking = request({ ...options, headers: { authorization } }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      asking.once("error", reject).end();
    });

  test("gives a chunk that it has, which is verified, and says so of one that it has not", async () => {
    chunks.meet([{ url: url(), ticket: ticket() }]);
    expect(await chunks.get(ID)).toEqual(Buffer.from(ENCODED));
    expect(await chunks.get("0".repeat(64))).toBeUndefined();
    expect(await chunks.get(ID)).toBeDefined();
    expect([troubles, errors]).toEqual([[], []]);
  });

  test("gives nothing to those without a ticket, and tells them nothing", async () => {
    const strangers = ["", "Bearer ", "Basic x", `Bearer ${ticket(clock.now)}`, "Bearer fl_token"];
    for (const authorization of strangers) {
      expect(await ask(`/v1/chunks/${ID}`, { authorization })).toBe(401);
      expect(await ask("/", { authorization })).toBe(401);
    }
    const closed = await PeerServer.open({ port: 0, stores: [], clock, onError: () => undefined });
    chunks.meet([{ url: peerUrlOf("127.0.0.1", closed.port), ticket: ticket() }]);
    expect(await chunks.get(ID)).toBeUndefined();
    await closed.close();
  });

  test("reads nothing but chunks, whatever the path says", async () => {
    const paths = [
      "/v1/chunks/../../../../etc/passwd",
      "/v1/chunks/..%2f..%2f..%2fetc%2fpasswd",
      `/v1/chunks/${ID}/../${ID}`,
      `/v1/chunks/${ID.toUpperCase()}`,
      `/v1/chunks/${ID}?x`,
      `/v1/chunks/${ID}%00`,
      `/v1/chunks/${ID}/`,
      `//v1/chunks/${ID}`,
      `http://127.0.0.1/v1/chunks/${ID}`,
      "/",
    ];
    for (const path of paths) expect([path, await ask(path)]).toEqual([path, 404]);
    for (const method of ["POST", "PUT", "DELETE", "HEAD"]) {
      expect(await ask(`/v1/chunks/${ID}`, { method })).toBe(405);
    }
    expect(errors).toEqual([]);
  });

  test("goes on when somebody speaks no HTTP, or leaves at once", async () => {
    const rude = connect(giver.port, "127.0.0.1", () => rude.end("hello\r\n\r\n"));
    rude.on("error", () => undefined).resume();
    const hasty = connect(giver.port, "127.0.0.1", () => hasty.destroy());
    await new Promise((resolve) => rude.once("close", resolve));
    expect(await ask(`/v1/chunks/${ID}`)).toBe(200);
  });

  test("says when its port is taken", async () => {
    const again = { port: giver.port, host: "127.0.0.1", stores: [], clock };
    await expect(PeerServer.open({ ...again, onError: () => undefined })).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining(`on port ${giver.port}`) as string,
    });
  });
});

describe("a node that asks others for chunks", () => {
  /** The server, which is asked last, and how often it was. */
  function server() {
    const asked: string[] = [];
    return {
      asked,
      get: (id: string) => {
        asked.push(id);
        return Promise.resolve(ENCODED);
      },
    };
  }

  /** Reads the chunk as a mount does: the disk, the peers, the server. */
  async function readBy(peers: readonly ChunkPeer[]) {
    const last = server();
    const disk = createMemoryTier({ nowMs: () => 0 });
    chunks.meet(peers);
    expect(await createChunkSource([disk], [chunks, last]).read(ID)).toEqual(BYTES);
    expect(await disk.get(ID)).toEqual(Buffer.from(ENCODED));
    return last.asked.length;
  }

  test("asks the server for nothing that a peer gave", async () => {
    expect(await readBy([await strange(sends(ENCODED))])).toBe(0);
  });

  test("asks elsewhere when a peer lies, names it, and never asks it again", async () => {
    const other = await encodeChunk(Buffer.from("other bytes"));
    const liar = await strange(sends(other));
    expect(await readBy([liar])).toBe(1);
    expect(troubles).toEqual([expect.stringContaining(`${liar.url} gave wrong bytes`)]);
    clock.now += 1e9;
    expect(await readBy([{ ...liar, ticket: ticket(2e9) }])).toBe(1);
    expect(liar.asked).toHaveLength(1);
    expect(troubles).toHaveLength(1);
  });

  test.each([
    ["answers half", sends(ENCODED.subarray(0, ENCODED.byteLength / 2))],
    ["answers nothing", sends(new Uint8Array(0))],
    ["answers without end", sends(new Uint8Array(5 * 1024 * 1024))],
    ["claims more than a chunk may have", sends(Buffer.from([1, 255, 255, 255, 255, 0]))],
    [
      "breaks off",
      ((_, response) => {
        response.writeHead(200, { "content-length": ENCODED.byteLength });
        response.write(ENCODED.subarray(0, 10), () => response.destroy());
      }) satisfies RequestListener,
    ],
    ["hangs", () => undefined],
    [
      "hangs after the head",
      ((_, response) => {
        response.writeHead(200).flushHeaders();
      }) satisfies RequestListener,
    ],
    [
      "sends it elsewhere",
      ((_, response) => {
        response.writeHead(302, { location: "http://127.0.0.1:9/" }).end();
      }) satisfies RequestListener,
    ],
    [
      "refuses",
      ((_, response) => {
        response.writeHead(401).end();
      }) satisfies RequestListener,
    ],
  ] as const)("asks the server when a peer %s, and leaves that one alone", async (_, answer) => {
    const peer = await strange(answer);
    expect(await readBy([peer])).toBe(1);
    expect(await readBy([peer])).toBe(1);
    expect(peer.asked).toHaveLength(1);
  });

  test("asks the server when a peer is gone, and asks that one again after a while", async () => {
    const peer = await strange((_, response) => void response.destroy());
    expect(await readBy([peer])).toBe(1);
    clock.now += 29_999;
    expect(await readBy([peer])).toBe(1);
    expect(peer.asked).toHaveLength(1);
    clock.now += 1;
    expect(await readBy([peer])).toBe(1);
    expect(peer.asked).toHaveLength(2);
    // The second rest is longer; a new ticket ends it.
    clock.now += 30_000;
    expect(await readBy([peer])).toBe(1);
    expect(peer.asked).toHaveLength(2);
    expect(await readBy([{ ...peer, ticket: ticket(2e9) }])).toBe(1);
    expect(peer.asked).toHaveLength(3);
  });

  test("asks two peers for one chunk at most, and remembers the eight told of last", async () => {
    const lacks: RequestListener = (_, response) => {
      response.writeHead(404).end();
    };
    const peers = await Promise.all(Array.from({ length: 10 }, () => strange(lacks)));
    expect(await readBy(peers)).toBe(1);
    expect(peers.reduce((sum, { asked }) => sum + asked.length, 0)).toBe(2);
    for (let number = 0; number < 64; number += 1) {
      await chunks.get(chunkIdOf(Buffer.from([number])));
    }
    const heard = peers.map(({ asked }) => asked.length > 0);
    expect(heard).toEqual([false, false, ...Array.from({ length: 8 }, () => true)]);
  });

  test("asks nobody for what is no name of a chunk", async () => {
    const peer = await strange(sends(ENCODED));
    chunks.meet([peer]);
    const names = ["../../etc/passwd", `${ID}/../x`, ID.toUpperCase(), ""];
    for (const name of names) {
      await expect(chunks.get(name)).rejects.toMatchObject({ code: "invalid_request" });
    }
    expect(peer.asked).toEqual([]);
  });
});

test("an address of a node becomes a place to ask, whatever its form", () => {
  expect(peerUrlOf("10.0.0.1", 7071)).toBe("http://10.0.0.1:7071");
  expect(peerUrlOf("::ffff:10.0.0.1", 1)).toBe("http://10.0.0.1:1");
  expect(peerUrlOf("fe80::1%eth0", 1)).toBe("http://[fe80::1]:1");
});

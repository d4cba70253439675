import { expect, test } from "vitest";
import { peerKeyOf, peerTicketOf } from "../../sandbox/index.ts";
import { chunkPeersOf, peerUrlIn } from "./chunk-peers.ts";
import type { ContainerRecord, ContainerState } from "./container-table.ts";
import type { NodeRecord } from "./node-table.ts";

const KEY = Buffer.alloc(32, 7);
const CONTENT = "c".repeat(64);

interface Place {
  readonly region?: string;
  readonly connected?: boolean;
  readonly gives?: boolean;
  readonly state?: ContainerState;
  readonly contentId?: string;
}

/** Peers of node `no_asker` in region `r`, where each other node holds one container. */
function peersAmong(places: Readonly<Record<string, Place>>) {
  const nodes = new Map(
    Object.entries({ no_asker: {}, ...places }).map(([nodeId, place]) => {
      const { region = "r", connected = true, gives = true } = place as Place;
      const peerUrl = gives ? `http://10.0.0.1:${nodeId.length}` : undefined;
      const stored = { node: { nodeId, cloud: "aws", region } };
      // What is asked of a node here.
      return [nodeId, { stored, connected, peerUrl } as unknown as NodeRecord];
    }),
  );
  const containers = Object.entries(places).map(([nodeId, place]) => {
    const { state = "ready", contentId = CONTENT } = place;
    return { nodeId, state, live: { image: { contentId } } } as unknown as ContainerRecord;
  });
  const start = { contentId: CONTENT, nodeId: "no_asker", nowMs: 1_000 };
  return chunkPeersOf(start, { containers: { all: () => containers }, nodes, key: KEY });
}

test("a node is told of one that runs containers of the image, with a ticket for that one", () => {
  const nodeId = "no_asker";
  const ticket = peerTicketOf(peerKeyOf(KEY, "no_1"), { nodeId, expiresAtMs: 3_601_000 });
  expect(peersAmong({ no_1: {} })).toEqual([{ url: "http://10.0.0.1:4", ticket }]);
});

test.each([
  ["itself", { no_asker: {} }],
  ["another region", { no_1: { region: "s" } }],
  ["one that is away", { no_1: { connected: false } }],
  ["one that gives nothing", { no_1: { gives: false } }],
  ["one whose container only starts", { no_1: { state: "starting" } }],
  ["one with another image", { no_1: { contentId: "d".repeat(64) } }],
] as const)("a node is not told of %s", (_, places) => {
  expect(peersAmong(places)).toEqual([]);
});

test("a node is told of three at most, and of none for a start without an image", () => {
  const many = Object.fromEntries(Array.from({ length: 9 }, (_, at) => [`no_${at}`, {}]));
  expect(peersAmong(many)).toHaveLength(3);
  const none = { containers: { all: () => [] }, nodes: new Map(), key: KEY };
  const start = { contentId: undefined, nodeId: "no_asker", nowMs: 0 };
  expect(chunkPeersOf(start, none)).toEqual([]);
});

test("what an agent says is its address is taken only if it is one", () => {
  for (const good of ["http://10.0.0.1:80", "http://[fe80::1]:7071"]) {
    expect(peerUrlIn(good)).toBe(good);
  }
  const wrong = [
    undefined,
    5,
    "",
    "https://10.0.0.1:80",
    "http://10.0.0.1",
    "http://10.0.0.1:80/x",
    "http://a@10.0.0.1:80",
    "http://metadata:80",
    "http://10.0.0.1:99999",
    `http://${"1".repeat(200)}:1`,
  ];
  for (const each of wrong) expect([each, peerUrlIn(each)]).toEqual([each, undefined]);
});

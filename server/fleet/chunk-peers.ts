/**
 * Which other nodes a node may ask for the files of an image before it asks the server: those of
 * its region on which containers of that image are ready, and which give chunks at all.
 */
import { peerKeyOf, peerTicketOf, type ChunkPeer } from "../../sandbox/index.ts";
import type { ContainerTable } from "./container-table.ts";
import type { NodeRecord, NodeTable } from "./node-table.ts";

export interface ChunkPeersOptions {
  readonly containers: Pick<ContainerTable, "all">;
  readonly nodes: Pick<NodeTable, "get">;
  /** Known to this platform alone. */
  readonly key: Uint8Array;
}

/** Nodes that one is told of. */
const PEERS_MAX = 3;
/** How long a ticket is good; the next start brings a new one. */
const TICKET_MS = 3_600_000;
const URL_CHARACTERS_MAX = 100;

/**
 * Peers for a start of an image on a node, at most 3, different ones first for different nodes.
 * O(n log n) in containers.
 */
export function chunkPeersOf(
  { contentId, nodeId, nowMs }: ImageStart,
  { containers, nodes, key }: ChunkPeersOptions,
): readonly ChunkPeer[] {
  const asker = nodes.get(nodeId);
  if (contentId === undefined || asker === undefined) return [];
  const holders = new Set(
    containers.all().flatMap(({ state, live, nodeId: on }) => {
      const isHolding = state === "ready" && live.image?.contentId === contentId;
      return isHolding && on !== undefined && on !== nodeId ? [on] : [];
    }),
  );
  const near = [...holders].toSorted().flatMap((id) => peerIn(nodes.get(id), asker));
  const first = near.length === 0 ? 0 : sumOf(nodeId) % near.length;
  const expiresAtMs = nowMs + TICKET_MS;
  return [...near.slice(first), ...near.slice(0, first)].slice(0, PEERS_MAX).map((peer) => {
    const ticket = peerTicketOf(peerKeyOf(key, peer.nodeId), { nodeId, expiresAtMs });
    return { url: peer.url, ticket };
  });
}

/** A container that starts in an image. */
export interface ImageStart {
  /** The image's files; undefined for a container without an image. */
  readonly contentId: string | undefined;
  /** Where it starts. */
  readonly nodeId: string;
  readonly nowMs: number;
}

/** What an agent says is its address, if it can be one: an address and a port, nothing else. */
export function peerUrlIn(said: unknown): string | undefined {
  if (typeof said !== "string" || said.length > URL_CHARACTERS_MAX) return undefined;
  return /^http:\/\/([0-9.]+|\[[0-9a-f:.]+\]):[0-9]{1,5}$/.test(said) && URL.canParse(said)
    ? said
    : undefined;
}

function peerIn(
  holder: NodeRecord | undefined,
  asker: NodeRecord,
): readonly { readonly nodeId: string; readonly url: string }[] {
  if (holder?.peerUrl === undefined || !holder.connected) return [];
  const { cloud, region, nodeId } = holder.stored.node;
  const { node } = asker.stored;
  const isNear = cloud === node.cloud && region === node.region;
  return isNear ? [{ nodeId, url: holder.peerUrl }] : [];
}

/** Any number that differs between names. */
function sumOf(text: string): number {
  return Buffer.from(text).reduce((sum, byte) => sum + byte, 0);
}

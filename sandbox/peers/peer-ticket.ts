/**
 * Tickets with which one node of a platform asks another for chunks.
 *
 * Each node has a key of its own, made of the platform's: the server tells it to nobody else. A
 * ticket is a code over who asks and until when, under the key of the node that is asked. So a
 * node checks tickets without asking anybody, and what one node has been told is of no use to it
 * at any other than the one that the ticket is for.
 */
import { createHmac, timingSafeEqual } from "node:crypto";

/** A node that may be asked for chunks. */
export interface ChunkPeer {
  /** Where it listens: a scheme, an address and a port. */
  readonly url: string;
  readonly ticket: string;
}

const TICKET = /^([A-Za-z0-9_-]{1,64})\.([0-9]{1,15})\.([0-9a-f]{64})$/;

/** The key of a node, in hexadecimal; the same after every restart of the platform. */
export function peerKeyOf(platformKey: Uint8Array, nodeId: string): string {
  return createHmac("sha256", platformKey).update(`chunks of ${nodeId}`).digest("hex");
}

/** A ticket for the node with this key. @param nodeId Who asks. */
export function peerTicketOf(
  peerKey: string,
  { nodeId, expiresAtMs }: { readonly nodeId: string; readonly expiresAtMs: number },
): string {
  return `${nodeId}.${expiresAtMs}.${codeOf(peerKey, nodeId, String(expiresAtMs))}`;
}

/** Whether a text is a ticket for the node with this key, and good now. */
export function isPeerTicket(peerKey: string, text: string, nowMs: number): boolean {
  const [, nodeId, expiresAtMs, code] = TICKET.exec(text) ?? [];
  if (nodeId === undefined || expiresAtMs === undefined || code === undefined) return false;
  const own = codeOf(peerKey, nodeId, expiresAtMs);
  return timingSafeEqual(Buffer.from(own), Buffer.from(code)) && nowMs < Number(expiresAtMs);
}

function codeOf(peerKey: string, nodeId: string, expiresAtMs: string): string {
  return createHmac("sha256", peerKey).update(`${nodeId}.${expiresAtMs}`).digest("hex");
}

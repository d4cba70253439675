/**
 * Chunks from other nodes of the platform: the nearest place but for this machine's own disk.
 *
 * A peer may lack any chunk, and may be gone, slow or broken at any time; none of that is more
 * than some time lost, since whoever asks here asks the server next. What a peer gave is verified
 * before it is passed on. One that fails rests, for longer each time; one that gave wrong bytes is
 * not asked again.
 */
import { messageOf, PlatformError, type Clock } from "../../core/index.ts";
import {
  boundedBytes,
  checkChunkId,
  decodeChunk,
  type ChunkId,
  type RemoteChunks,
} from "../store/index.ts";
import type { ChunkPeer } from "./peer-ticket.ts";

export interface PeerChunksOptions {
  readonly clock: Pick<Clock, "nowMs">;
  /** Longest that one peer is waited for. */
  readonly timeoutMs?: number;
  /** A peer did what none should. */
  readonly onTrouble: (message: string) => void;
}

interface Known {
  readonly url: string;
  ticket: string;
  restsUntilMs: number;
  failures: number;
}

const TIMEOUT_MS = 1_000;
/** Peers that are remembered; the ones told of last. */
const PEERS_MAX = 8;
/** Of them, those that are asked for one chunk. */
const ASKED_MAX = 2;
const REST_MS_MIN = 30_000;
const REST_MS_MAX = 600_000;

export class PeerChunks implements RemoteChunks {
  readonly #options: PeerChunksOptions;
  /** By address, the one told of last at the end. */
  readonly #peers = new Map<string, Known>();

  constructor(options: PeerChunksOptions) {
    this.#options = options;
  }

  /** Peers that may have what is needed next. */
  meet(peers: readonly ChunkPeer[]): void {
    for (const { url, ticket } of peers) {
      const known = this.#peers.get(url) ?? { url, ticket, restsUntilMs: 0, failures: 0 };
      // With a new ticket it may let us in, unless it is one that lied.
      if (known.ticket !== ticket && known.failures < Infinity) known.restsUntilMs = 0;
      known.ticket = ticket;
      this.#peers.delete(url);
      this.#peers.set(url, known);
    }
    const over = [...this.#peers.keys()].slice(0, Math.max(0, this.#peers.size - PEERS_MAX));
    for (const url of over) this.#peers.delete(url);
  }

  /** A verified encoding; undefined when no peer gives one in time. */
  async get(id: ChunkId): Promise<Uint8Array | undefined> {
    checkChunkId(id);
    for (const peer of this.#inOrderFor(id)) {
      const encoded = await this.#ask(peer, id).catch((error: unknown) => {
        this.#failed(peer, error);
        return undefined;
      });
      if (encoded !== undefined) return encoded;
    }
    return undefined;
  }

  /** Different peers first for different chunks. */
  #inOrderFor(id: ChunkId): readonly Known[] {
    const nowMs = this.#options.clock.nowMs();
    const awake = [...this.#peers.values()].filter(({ restsUntilMs }) => restsUntilMs <= nowMs);
    const first = awake.length === 0 ? 0 : Number.parseInt(id.slice(0, 4), 16) % awake.length;
    return [...awake.slice(first), ...awake.slice(0, first)].slice(0, ASKED_MAX);
  }

  async #ask(peer: Known, id: ChunkId): Promise<Uint8Array | undefined> {
    const { timeoutMs = TIMEOUT_MS } = this.#options;
    const response = await fetch(`${peer.url}/v1/chunks/${id}`, {
      headers: { authorization: `Bearer ${peer.ticket}` },
      // It may send us nowhere else.
      redirect: "error",
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (response.status === 404) {
      await response.body?.cancel();
      return undefined;
    }
    if (!response.ok) throw new Error(`it answered ${response.status}`);
    const encoded = await boundedBytes(id, response);
    try {
      decodeChunk(id, encoded);
    } catch (error) {
      this.#lied(peer, error);
      return undefined;
    }
    peer.failures = 0;
    return encoded;
  }

  #failed(peer: Known, error: unknown): void {
    if (peer.failures === Infinity) return;
    if (error instanceof PlatformError) {
      this.#lied(peer, error);
      return;
    }
    const nowMs = this.#options.clock.nowMs();
    // What was asked at once fails at once, and counts as one failure.
    if (peer.restsUntilMs > nowMs) return;
    peer.restsUntilMs = nowMs + Math.min(REST_MS_MAX, REST_MS_MIN * 2 ** peer.failures);
    peer.failures += 1;
  }

  #lied(peer: Known, error: unknown): void {
    if (peer.failures !== Infinity) {
      this.#options.onTrouble(
        `node at ${peer.url} gave wrong bytes and is asked no more: ${messageOf(error)}`,
      );
    }
    peer.failures = Infinity;
    peer.restsUntilMs = Infinity;
  }
}

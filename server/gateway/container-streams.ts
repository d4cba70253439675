/**
 * Byte streams of containers at the server's end: what agents say of them goes to whoever has
 * opened the stream, and the ends of containers too.
 */
import type { Piece } from "../../sandbox/index.ts";

/** What is told of streams by those who hear the agents. */
export interface StreamNews {
  /** A container sent a piece. */
  piece(containerId: string, streamId: string, piece: Piece, body: Uint8Array): void;
  /** A container is gone, or was given up; its inputs run elsewhere. */
  containerGone(containerId: string): void;
  /** What was on its way to and from a container may be lost. */
  containerCutOff(containerId: string): void;
}

/** One end of a stream, in the hands of whoever reads and writes it. */
export interface StreamEnd {
  readonly streamId: string;
  /** Where the other end is; undefined until that is known. */
  readonly containerId: string | undefined;
  take(containerId: string, piece: Piece, body: Uint8Array): void;
  gone(): void;
  cutOff(): void;
}

export class ContainerStreams implements StreamNews {
  readonly #ends = new Map<string, StreamEnd>();

  add(end: StreamEnd): void {
    this.#ends.set(end.streamId, end);
  }

  remove(end: StreamEnd): void {
    if (this.#ends.get(end.streamId) === end) this.#ends.delete(end.streamId);
  }

  get(streamId: string): StreamEnd | undefined {
    return this.#ends.get(streamId);
  }

  piece(containerId: string, streamId: string, piece: Piece, body: Uint8Array): void {
    this.#ends.get(streamId)?.take(containerId, piece, body);
  }

  containerGone(containerId: string): void {
    for (const end of this.#endsIn(containerId)) end.gone();
  }

  containerCutOff(containerId: string): void {
    for (const end of this.#endsIn(containerId)) end.cutOff();
  }

  #endsIn(containerId: string): readonly StreamEnd[] {
    return [...this.#ends.values()].filter((end) => end.containerId === containerId);
  }
}

/** The byte streams of one container, on their way between its runner and the server. */
import type { ToRunner } from "../runners/protocol.ts";
import type { Piece } from "../streams/piece.ts";

export interface ContainerStreamsOptions {
  /** Whether the container has an input of this name, which its stream is named after. */
  readonly holds: (inputId: string) => boolean;
  readonly toRunner: (message: ToRunner, body: Uint8Array) => void;
  readonly toServer: (streamId: string, piece: Piece, body: Uint8Array) => void;
}

const NOTHING = new Uint8Array(0);

export class ContainerStreams {
  readonly #options: ContainerStreamsOptions;
  /** Begun by the runner, and not known to be over. */
  readonly #open = new Set<string>();

  constructor(options: ContainerStreamsOptions) {
    this.#options = options;
  }

  /** A piece from the runner: one of a stream that is not the container's is nobody's. */
  fromRunner(streamId: string, piece: Piece, body: Uint8Array): void {
    if (!this.#open.has(streamId)) {
      if (piece.kind !== "begin" || !this.#options.holds(streamId)) return;
      this.#open.add(streamId);
    }
    if (piece.kind === "reset") this.#open.delete(streamId);
    this.#options.toServer(streamId, piece, body);
  }

  /** A piece from the server. */
  fromServer(streamId: string, piece: Piece, body: Uint8Array): void {
    if (piece.kind === "reset") this.#open.delete(streamId);
    this.#options.toRunner({ type: "stream", streamId, piece }, body);
  }

  /** The server is gone for now, and pieces that were on their way with it: no stream goes on. */
  cutOff(): void {
    const message = "the connection to the server broke";
    for (const streamId of this.#open) {
      const piece = { kind: "reset", message } as const;
      this.#options.toRunner({ type: "stream", streamId, piece }, NOTHING);
    }
    this.#open.clear();
  }
}

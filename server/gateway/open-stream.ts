/** Byte streams that the server opens to containers, and not an input. */
import { PlatformError, type IdSource } from "../../core/index.ts";
import { PieceStream, type Piece } from "../../sandbox/index.ts";
import type { ContainerStreams } from "./container-streams.ts";

export interface OpenStreamOptions {
  readonly streams: Pick<ContainerStreams, "add" | "remove">;
  readonly ids: IdSource;
  readonly sendPiece: (
    containerId: string,
    streamId: string,
    piece: Piece,
    body: Uint8Array,
  ) => void;
}

const NOTHING = new Uint8Array(0);

/**
 * Opens a stream to a container; it breaks off with the container or its node's connection.
 *
 * @param ask Asks the container's node for the other end; false when that is not connected.
 * @throws PlatformError `unavailable` when it is not
 */
export function openStream(
  { streams, ids, sendPiece }: OpenStreamOptions,
  containerId: string,
  ask: (streamId: string) => boolean,
): PieceStream {
  const streamId = ids.next("sh");
  const stream = new PieceStream((piece, body) => {
    sendPiece(containerId, streamId, piece, body);
  }, true);
  const reset = (message: string): void => stream.hear({ kind: "reset", message }, NOTHING);
  const end = {
    streamId,
    containerId,
    take: (from: string, piece: Piece, body: Uint8Array): void => {
      if (from === containerId) stream.hear(piece, body);
    },
    gone: () => reset("the container ended"),
    cutOff: () => reset("the connection to its machine broke"),
  };
  streams.add(end);
  stream.once("close", () => streams.remove(end));
  // Whoever reads it hears of errors.
  stream.on("error", () => undefined);
  if (ask(streamId)) return stream;
  stream.destroy();
  throw new PlatformError(`the node of container ${containerId} is not connected; try again`, {
    code: "unavailable",
    retryable: true,
    details: { container: containerId },
  });
}

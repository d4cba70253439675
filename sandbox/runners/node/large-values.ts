/** Arguments and results that are too large for a frame: their chunks, by way of the agent. */
import type { ChunkStore, StoredBlob } from "../../../sdk/protocol/index.ts";
import type { ServerAnswer, ServerRequest, ServerRequests } from "./server-requests.ts";

const BLOB_MEDIA_TYPE = "application/octet-stream";
/** How long a server that is away is asked again. */
const RETRY_FOR_MS = 60_000;
const PAUSE_MS = 250;

/** The server's blobs, as a store of chunks. */
export function chunkStoreOf(requests: Pick<ServerRequests, "request">): ChunkStore {
  return {
    put: async (body, signal) => {
      const request = { method: "POST", path: "/v1/blobs", contentType: BLOB_MEDIA_TYPE, body };
      const answer = await settled(requests, request, signal);
      const { sha256 } = JSON.parse(Buffer.from(answer.body).toString("utf8")) as StoredBlob;
      return sha256;
    },
    get: async (sha256, signal, place) => {
      const request = { method: "GET", path: `/v1/blobs/${sha256}`, place };
      return (await settled(requests, request, signal)).body;
    },
  };
}

/** The answer of a server that may be away for a while. @throws Error that says what it said. */
async function settled(
  requests: Pick<ServerRequests, "request">,
  request: ServerRequest,
  signal: AbortSignal | undefined,
): Promise<ServerAnswer> {
  const startedAtMs = performance.now();
  for (;;) {
    const answer = await requests.request(request, signal);
    const { status, body } = answer;
    if (status >= 200 && status < 300) return answer;
    const mayComeBack = status >= 500 || status === 429;
    if (!mayComeBack || performance.now() - startedAtMs > RETRY_FOR_MS) {
      const told = Buffer.from(body).toString("utf8").slice(0, 500);
      throw new Error(`moving a part of a large value failed: ${status} ${told}`);
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

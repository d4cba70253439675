/** A server of chunks as it is far away: every answer is late, and all share one line. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { ChunkStore } from "../../sandbox/store/index.ts";

export interface FarStoreOptions {
  readonly latencyMs: number;
  readonly bytesPerMs: number;
}

/** A running server. */
export class FarStore {
  readonly serverUrl: string;
  /** Bytes of chunks that it gave. */
  sentBytes = 0;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    const { port } = server.address() as AddressInfo;
    this.serverUrl = `http://127.0.0.1:${port}`;
  }

  /** Serves `store` under `/v1/chunks/`. */
  static async open(store: ChunkStore, options: FarStoreOptions): Promise<FarStore> {
    let lineFreeAtMs = 0;
    const server = createServer((request, response) => {
      const id = request.url?.split("/").at(-1) ?? "";
      // It knows of no other node, and so of no list of what starts read.
      const found = id === "reads" ? Promise.resolve(undefined) : store.get(id);
      void found.then(async (encoded) => {
        const byteCount = encoded?.byteLength ?? 0;
        const nowMs = performance.now();
        lineFreeAtMs = Math.max(lineFreeAtMs, nowMs) + byteCount / options.bytesPerMs;
        await sleep(options.latencyMs + lineFreeAtMs - nowMs);
        far.sentBytes += byteCount;
        response.writeHead(encoded === undefined ? 404 : 200).end(encoded);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const far = new FarStore(server);
    return far;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

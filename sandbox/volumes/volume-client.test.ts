import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { buffer } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { volumeClients } from "./volume-client.ts";

const PIECE_BYTES = 1024 * 1024;
const PIECES = 20;

let server: Server;
let serverUrl: string;
/** Sizes of the bodies that came with chunks. */
let received: number[];
let isMissing: (id: string) => boolean;

beforeEach(async () => {
  received = [];
  isMissing = () => true;
  server = createServer((request, response) => {
    const { url = "" } = request;
    void buffer(request).then((body) => {
      if (url.endsWith("/chunks")) received.push(body.byteLength);
      const { chunkIds = [] } = url.endsWith("/missing")
        ? (JSON.parse(body.toString()) as { readonly chunkIds: readonly string[] })
        : {};
      response.end(JSON.stringify({ uploadId: "up_1", missing: chunkIds.filter(isMissing) }));
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("it has a port");
  serverUrl = `http://127.0.0.1:${address.port}`;
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

/** Offers pieces that the version has; gives how many of them were read. */
async function offer(): Promise<number> {
  let loadCount = 0;
  const client = volumeClients({ serverUrl, token: () => "t" })({ name: "data", grant: "g" });
  const upload = await client.upload();
  for (let index = 0; index < PIECES; index += 1) {
    await upload.add({
      id: `chunk-${index}`,
      load: () => {
        loadCount += 1;
        return Promise.resolve(new Uint8Array(PIECE_BYTES));
      },
    });
  }
  await upload.finish();
  return loadCount;
}

test("pieces that the server has are not read, and one that it has no more is sent", async () => {
  isMissing = (id) => id === "chunk-7";
  expect(await offer()).toBe(1);
  expect(received).toHaveLength(1);
});

test("however many of them must be sent, a few go at a time", async () => {
  expect(await offer()).toBe(PIECES);
  expect(received).toHaveLength(3);
  expect(Math.max(...received)).toBeLessThan(9 * PIECE_BYTES);
});

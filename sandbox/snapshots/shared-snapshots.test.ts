/** The agent's end of sharing, against a server in the test's hands. */
import { createServer, type Server } from "node:http";
import { buffer } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { assert } from "../../core/index.ts";
import { manifestOf, type SnapshotRecord } from "./manifest.ts";
import { createHttpSnapshots, type SharedSnapshots } from "./shared-snapshots.ts";

const ID = "ab".repeat(32);
const OTHER = "cd".repeat(32);
const RECORD: SnapshotRecord = {
  key: ID,
  snapshotId: OTHER,
  madeAtMs: 1,
  files: [{ name: "checkpoint.img", byteCount: 9, chunkIds: [OTHER] }],
};
const NOTE = `/v1/snapshots/${OTHER}/${ID}`;
const CHUNK = `/v1/snapshots/chunks/${OTHER}`;

interface Asked {
  readonly what: string;
  readonly token: string | undefined;
  readonly body: Buffer;
}

let server: Server;
let asked: Asked[];
let answers: Record<string, { readonly status?: number; readonly body?: string | Buffer }[]>;
let shared: SharedSnapshots;

beforeEach(async () => {
  [asked, answers] = [[], {}];
  server = createServer((request, response) => {
    void buffer(request).then((body) => {
      const what = `${request.method} ${request.url}`;
      asked.push({ what, token: request.headers.authorization, body });
      const all = answers[what] ?? [];
      const { status = 200, body: said = "" } = (all.length > 1 ? all.shift() : all[0]) ?? {
        status: 404,
      };
      response.writeHead(status).end(said);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert(typeof address === "object" && address !== null, "it listens on a port");
  const serverUrl = `http://127.0.0.1:${address.port}`;
  shared = createHttpSnapshots({ serverUrl, token: () => "session" });
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const offerSays = (...all: readonly object[]): void => {
  answers[`PUT ${NOTE}`] = all.map((one) => ({ body: JSON.stringify(one) }));
};
const read = (): Promise<Uint8Array> => Promise.resolve(Buffer.from("encoded"));

test("what is shared is found, and what is not is not", async () => {
  expect(await shared.find(ID, OTHER)).toBeUndefined();
  answers[`GET ${NOTE}`] = [{ body: Buffer.from(manifestOf(RECORD)) }];
  expect(await shared.find(ID, OTHER)).toEqual(RECORD);
  expect(asked.map(({ token }) => token)).toEqual(["Bearer session", "Bearer session"]);
});

test.each([
  ["of another key", { ...RECORD, key: OTHER }],
  ["of another function", { ...RECORD, snapshotId: ID }],
  ["with a file outside its folder", { ...RECORD, files: [{ ...RECORD.files[0], name: "../x" }] }],
])("a note %s is not believed", async (_, wrong) => {
  answers[`GET ${NOTE}`] = [{ body: JSON.stringify(wrong) }];
  expect(await shared.find(ID, OTHER)).toBeUndefined();
});

test("what the server lacks is sent, and then it is offered again", async () => {
  offerSays({ wanted: true, missing: [OTHER] }, { wanted: true, missing: [] });
  answers[`PUT ${CHUNK}`] = [{ status: 204 }];
  expect(await shared.offer(RECORD, read)).toBe(true);
  expect(asked.map(({ what }) => what)).toEqual([`PUT ${NOTE}`, `PUT ${CHUNK}`, `PUT ${NOTE}`]);
  expect(asked[1]?.body.toString()).toBe("encoded");
});

test("nothing is sent of what nobody wants", async () => {
  offerSays({ wanted: false, missing: [] });
  expect(await shared.offer(RECORD, read)).toBe(false);
  expect(asked).toHaveLength(1);
});

test("a server that lacks the same again and again is given up", async () => {
  offerSays({ wanted: true, missing: [OTHER] });
  answers[`PUT ${CHUNK}`] = [{ status: 204 }];
  await expect(shared.offer(RECORD, read)).rejects.toThrow("although they were sent");
});

test.each([
  ["an answer that is none", "PUT", { body: "[]" }],
  ["an answer that is no JSON", "PUT", { body: "oops" }],
  ["a refusal", "PUT", { status: 403 }],
])("%s to an offer is an error", async (_, method, answer) => {
  answers[`${method} ${NOTE}`] = [answer];
  await expect(shared.offer(RECORD, read)).rejects.toThrow();
});

test("a chunk that is longer than any is cut short", async () => {
  answers[`GET ${CHUNK}`] = [{ body: Buffer.alloc(5 * 1_024 * 1_024) }];
  await expect(shared.chunks.get(OTHER)).rejects.toMatchObject({ code: "unavailable" });
  answers[`GET ${CHUNK}`] = [{ body: "encoded" }];
  expect(Buffer.from((await shared.chunks.get(OTHER)) ?? []).toString()).toBe("encoded");
});

test("a bad one is told of, and a server that is away is an error that may pass", async () => {
  answers[`DELETE ${NOTE}`] = [{ status: 204 }];
  await shared.reject(RECORD);
  expect(asked.at(-1)?.what).toBe(`DELETE ${NOTE}`);
  const away = createHttpSnapshots({ serverUrl: "http://127.0.0.1:1", token: () => "" });
  await expect(away.find(ID, OTHER)).rejects.toMatchObject({ retryable: true });
});

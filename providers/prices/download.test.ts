import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, it } from "vitest";
import { createRng, PlatformError, type Clock } from "../../core/index.ts";
import { createManualClock } from "../fake/manual-clock.ts";
import { Downloads, type Bytes, type DownloadsOptions } from "./download.ts";
import {
  createHastyClock,
  startTestServer,
  type TestAnswer,
  type TestServer,
} from "./test-server.ts";

const NOW_MS = Date.UTC(2026, 10, 26);
const JSON_BODY = JSON.stringify({ prices: [1, 2, 3] });

let server: TestServer | undefined;
afterEach(async () => server?.close());

async function serve(answer: (url: URL, earlierCount: number) => TestAnswer): Promise<URL> {
  server = await startTestServer(answer);
  return new URL(`${server.url}/list?secret=1`);
}

function downloads(clock: Clock, rest: Partial<DownloadsOptions> = {}): Downloads {
  return new Downloads({ clock, rng: createRng(1), ...rest });
}

async function failure(doing: Promise<unknown>): Promise<PlatformError> {
  const error: unknown = await doing.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof PlatformError) return error;
  throw new Error("a PlatformError was expected", { cause: error });
}

async function textOf(bytes: Bytes): Promise<string> {
  let text = "";
  for await (const piece of bytes) text += Buffer.from(piece).toString("utf8");
  return text;
}

describe("a download", () => {
  it.each([
    ["plain", { body: JSON_BODY }],
    ["gzip that says so", { body: gzipSync(JSON_BODY), headers: { "content-encoding": "gzip" } }],
    ["gzip that does not say so", { body: gzipSync(JSON_BODY) }],
  ])("reads a body that is %s", async (_, answer) => {
    const url = await serve(() => answer);
    const read = await downloads(createHastyClock(NOW_MS)).json({ url, what: "a list" });
    expect(read).toEqual({ prices: [1, 2, 3] });
  });

  it("reads an empty body, and one of a single byte, as they are", async () => {
    for (const body of ["", "x"]) {
      const url = await serve(() => ({ body }));
      const read = await downloads(createHastyClock(NOW_MS)).get({ url, what: "a list" }, textOf);
      expect(read).toBe(body);
      await server?.close();
    }
  });

  it("tries again what may work later, after pauses that grow", async () => {
    const clock = createHastyClock(NOW_MS);
    const url = await serve((_, earlierCount) =>
      earlierCount < 3 ? { status: 503, body: "busy" } : { body: JSON_BODY },
    );
    expect(await downloads(clock).json({ url, what: "a list" })).toEqual({ prices: [1, 2, 3] });
    expect(clock.pausesMs).toHaveLength(3);
    for (const [index, pauseMs] of clock.pausesMs.entries()) {
      expect(pauseMs).toBeGreaterThanOrEqual(500 * 2 ** index);
      expect(pauseMs).toBeLessThanOrEqual(1_000 * 2 ** index);
    }
  });

  it.each([
    ["7", 7_000],
    [new Date(NOW_MS + 9_000).toUTCString(), 9_000],
    ["86400", 60_000],
    [new Date(NOW_MS - 9_000).toUTCString(), 0],
  ])("waits as long as Retry-After: %s says, within bounds", async (header, pauseMs) => {
    const clock = createHastyClock(NOW_MS);
    const url = await serve((_, earlierCount) =>
      earlierCount === 0
        ? { status: 429, headers: { "retry-after": header } }
        : { body: JSON_BODY },
    );
    await downloads(clock).json({ url, what: "a list" });
    expect(clock.pausesMs).toEqual([pauseMs]);
  });

  it("gives up after four tries, and says what, where and what to do, but no query", async () => {
    const url = await serve(() => ({ status: 500, body: "oh\n  no" }));
    const error = await failure(downloads(createHastyClock(NOW_MS)).json({ url, what: "a list" }));
    expect(server?.asked).toHaveLength(4);
    expect(error).toMatchObject({ code: "unavailable", retryable: true });
    expect(error.message).toBe(
      `cannot get a list: ${server?.url ?? ""}/list answered 500 (oh no); try again later`,
    );
  });

  it.each([
    [400, "invalid_request"],
    [401, "auth_failed"],
    [403, "auth_failed"],
    [404, "not_found"],
  ])("asks once when the answer is %i", async (status, code) => {
    const url = await serve(() => ({ status }));
    const error = await failure(downloads(createHastyClock(NOW_MS)).json({ url, what: "a list" }));
    expect(server?.asked).toHaveLength(1);
    expect(error).toMatchObject({ code, retryable: false });
  });

  it.each([
    ["a proxy's page", { body: "<html>sorry</html>" }],
    ["half a document", { body: JSON_BODY.slice(0, 8) }],
    ["half a gzip file", { body: gzipSync(JSON_BODY).subarray(0, 12) }],
    ["a body that is cut off", { body: "{", fault: "cut" as const }],
  ])("takes %s for no answer, and tries again", async (_, broken) => {
    const url = await serve((__, earlierCount) =>
      earlierCount === 0 ? broken : { body: JSON_BODY },
    );
    const read = await downloads(createHastyClock(NOW_MS)).json({ url, what: "a list" });
    expect(read).toEqual({ prices: [1, 2, 3] });
    expect(server?.asked).toHaveLength(2);
  });

  it("S30: ends when nothing comes for 30 s", async () => {
    const clock = createManualClock(NOW_MS);
    const arrived = Promise.withResolvers<undefined>();
    const url = await serve(() => {
      arrived.resolve(undefined);
      return { fault: "hang" };
    });
    const reading = failure(downloads(clock, { attemptCountMax: 1 }).json({ url, what: "a list" }));
    await arrived.promise;
    await clock.advance(30_000);
    expect(await reading).toMatchObject({ code: "timed_out", retryable: true });
  });

  it("does not count the reader's own time as silence, but ends at the deadline", async () => {
    const clock = createManualClock(NOW_MS);
    const url = await serve(() => ({ body: JSON_BODY }));
    const slow = async (bytes: Bytes): Promise<string> => {
      for await (const piece of bytes) {
        await clock.advance(45_000);
        return Buffer.from(piece).toString("utf8");
      }
      return "";
    };
    const request = { url, what: "a list" };
    expect(await downloads(clock, { deadlineMs: 60_000 }).get(request, slow)).toBe(JSON_BODY);
    const slower = async (bytes: Bytes): Promise<string> => {
      await clock.advance(60_000);
      return textOf(bytes);
    };
    const error = await failure(
      downloads(clock, { deadlineMs: 60_000, attemptCountMax: 1 }).get(request, slower),
    );
    expect(error).toMatchObject({ code: "timed_out" });
  });

  it("stops at once when it is told to, and tries no more", async () => {
    const stopping = new AbortController();
    const url = await serve(() => {
      stopping.abort();
      return { fault: "hang" };
    });
    const clock = createHastyClock(NOW_MS);
    const all = downloads(clock, { signal: stopping.signal });
    expect((await failure(all.json({ url, what: "a list" }))).message).toContain("interrupted");
    expect((await failure(all.json({ url, what: "a list" }))).message).toContain("interrupted");
    expect(server?.asked).toHaveLength(1);
  });

  it("sends headers, and follows no redirect with them", async () => {
    const url = await serve((asked) =>
      asked.pathname === "/list"
        ? { status: 302, headers: { location: "/elsewhere" } }
        : { body: JSON_BODY },
    );
    const request = { url, what: "a list" };
    expect(await downloads(createHastyClock(NOW_MS)).json(request)).toEqual({ prices: [1, 2, 3] });
    const secret = { ...request, headers: { "x-key": "hush" } };
    const error = await failure(downloads(createHastyClock(NOW_MS)).json(secret));
    expect(server?.headers()["x-key"]).toBe("hush");
    expect(server?.asked.filter((path) => path === "/elsewhere")).toHaveLength(1);
    expect(JSON.stringify([error.message, error.details])).not.toContain("hush");
  });

  it("lets a bug of the reader through as it is, at once", async () => {
    const url = await serve(() => ({ body: JSON_BODY }));
    const bug = new RangeError("a bug");
    const all = downloads(createHastyClock(NOW_MS));
    const reading = all.get({ url, what: "a list" }, () => Promise.reject(bug));
    await expect(reading).rejects.toBe(bug);
    expect(server?.asked).toHaveLength(1);
  });

  it("says that nobody listens, after four tries", async () => {
    const url = await serve(() => ({}));
    await server?.close();
    const clock = createHastyClock(NOW_MS);
    const error = await failure(downloads(clock).json({ url, what: "a list" }));
    expect(error).toMatchObject({ code: "unavailable", retryable: true });
    expect(error.message).toContain("ECONNREFUSED");
    expect(clock.pausesMs).toHaveLength(3);
  });

  it("lets an error that no second try can mend through as it is", async () => {
    const url = await serve(() => ({ body: JSON_BODY }));
    const own = new PlatformError("no", { code: "unavailable", retryable: false });
    const error = await failure(
      downloads(createHastyClock(NOW_MS)).get({ url, what: "a list" }, () => Promise.reject(own)),
    );
    expect(error).toBe(own);
    expect(server?.asked).toHaveLength(1);
  });
});

import { describe, expect, test } from "vitest";
import { decodeValue, encodeValue } from "../../../sdk/protocol/index.ts";
import type { FromRunner, InputHeader } from "../protocol.ts";
import type { WebRequest, WebResult } from "../web-message.ts";
import { useTestRunner, type Answer } from "./test-runner.ts";

const under = useTestRunner();

const HANDLER = `
export const web = async (request) => {
  const { pathname } = new URL(request.url);
  if (pathname === "/json") return { asked: await request.text() };
  if (pathname === "/text") return "plain";
  if (pathname === "/bytes") return new Uint8Array([1, 2, 3]);
  if (pathname === "/nothing") return undefined;
  if (pathname === "/generator") return (function* () {})();
  if (pathname === "/bigint") return 1n;
  if (pathname === "/function") return () => 1;
  if (pathname === "/error") return Response.error();
  if (pathname === "/throws") throw new Error("the reason");
  if (pathname === "/waits") await new Promise((resolve) => request.signal.addEventListener("abort", resolve));
  if (pathname === "/wakes") await new Promise((resolve) => setTimeout(resolve, 300));
  return new Response("body of " + pathname, { status: 203, headers: { "x-a": "1" } });
};
web.program = { isWeb: true };
`;

type Head = Extract<Extract<FromRunner, { type: "stream" }>["piece"], { kind: "head" }>;

let count = 0;

async function ask(
  path: string,
  web: NonNullable<InputHeader["web"]> = { withinMs: 10_000 },
  more: Partial<WebRequest> = {},
): Promise<string> {
  count += 1;
  const inputId = `ca_${count}.0`;
  const request = { method: "GET", url: `http://site.example${path}`, headers: [], ...more };
  const payload = encodeValue([request]);
  const input = { inputId, bytes: payload.byteLength, web };
  under.runner.say({ type: "inputs", inputs: [input] }, [payload]);
  await Promise.resolve();
  return inputId;
}

async function boot(): Promise<void> {
  await under.runner.boot("web", HANDLER);
}

function headOf(inputId: string): Head | undefined {
  for (const message of under.runner.messages) {
    const isOurs = message.type === "stream" && message.streamId === inputId;
    if (isOurs && message.piece.kind === "head") return message.piece;
  }
  return undefined;
}

const kindsOf = (inputId: string): string[] =>
  under.runner.messages.flatMap((message) =>
    message.type === "stream" && message.streamId === inputId ? [message.piece.kind] : [],
  );

async function answered(inputId: string): Promise<Answer> {
  return under.runner.answer(inputId);
}

function resultOf({ payload }: Answer): WebResult {
  return decodeValue(payload) as WebResult;
}

describe("a web request in the runner", () => {
  test.each([
    ["/json", 200, "application/json"],
    ["/text", 200, "text/plain;charset=UTF-8"],
    ["/bytes", 200, "application/octet-stream"],
    ["/nothing", 204, undefined],
    ["/other", 203, "text/plain;charset=UTF-8"],
  ])("%s is answered with %i", async (path, status, type) => {
    await boot();
    const inputId = await ask(path);
    const answer = await answered(inputId);
    expect(answer.outcome).toBe("succeeded");
    expect(resultOf(answer)).not.toHaveProperty("body");
    const head = headOf(inputId);
    expect(head?.status).toBe(status);
    expect(head?.headers.find(([name]) => name === "content-type")?.[1]).toBe(type);
    const wanted = status === 204 ? ["begin", "head", "end"] : ["begin", "head", "data", "end"];
    expect(kindsOf(inputId)).toEqual(wanted);
  });

  test.each(["/generator", "/bigint", "/function", "/error", "/throws"])(
    "%s fails before anything is sent, and is printed",
    async (path) => {
      await boot();
      const inputId = await ask(path);
      expect((await answered(inputId)).outcome).toBe("failed");
      expect(kindsOf(inputId)).toEqual(["begin", "reset"]);
      expect(under.runner.lines.map(({ text }) => text).join("\n")).toContain("Error");
    },
  );

  test("HEAD has the head alone", async () => {
    await boot();
    const inputId = await ask("/other", { withinMs: 10_000 }, { method: "HEAD" });
    await answered(inputId);
    expect(kindsOf(inputId)).toEqual(["begin", "head", "end"]);
  });

  test("a body that came with the input is read from there", async () => {
    await boot();
    const more = { method: "POST", body: Buffer.from("inline") };
    const inputId = await ask("/json", { withinMs: 0 }, more);
    const { body } = resultOf(await answered(inputId));
    expect(Buffer.from(body ?? []).toString()).toBe('{"asked":"inline"}');
  });

  test("a body that comes over the stream is read as it comes", async () => {
    await boot();
    const inputId = await ask("/json", { withinMs: 9_000 }, { method: "POST", streamsBody: true });
    await under.runner.hear((message) => message.type === "stream");
    for (const part of ["str", "eam"]) {
      const piece = { kind: "data" } as const;
      under.runner.say({ type: "stream", streamId: inputId, piece }, [Buffer.from(part)]);
    }
    under.runner.say({ type: "stream", streamId: inputId, piece: { kind: "end" } });
    expect((await answered(inputId)).outcome).toBe("succeeded");
    expect(headOf(inputId)?.status).toBe(200);
  });

  test("too late for its client, the whole response is the result", async () => {
    await boot();
    const inputId = await ask("/wakes", { withinMs: 50 });
    const result = resultOf(await answered(inputId));
    expect(result).toMatchObject({ status: 203 });
    expect(Buffer.from(result.body ?? []).toString()).toBe("body of /wakes");
    expect(kindsOf(inputId)).toContain("detached");
    expect(kindsOf(inputId)).not.toContain("head");
  });

  test("without a client from the start nothing is sent", async () => {
    await boot();
    const inputId = await ask("/other", { withinMs: 0 });
    expect(resultOf(await answered(inputId)).body).toBeDefined();
    expect(kindsOf(inputId)).toEqual([]);
  });

  test("what may have been answered before does not run", async () => {
    await boot();
    const { error } = await answered(await ask("/throws", "unwanted"));
    expect(error?.name).toBe("ClientGoneError");
    const { error: plain } = await answered(await ask("/text", "unwanted", { url: "not a URL" }));
    expect(plain?.name).toBe("ClientGoneError");
  });

  test("a call that is no request is told so", async () => {
    await boot();
    under.runner.give({ "ca_x.0": 1 });
    const { error } = await answered("ca_x.0");
    expect(error?.message).toContain("called by its URL");
  });

  test("a client that goes aborts the request's signal", async () => {
    await boot();
    const inputId = await ask("/waits");
    await under.runner.hear((message) => message.type === "stream");
    const piece = { kind: "reset", message: "the client went away" } as const;
    under.runner.say({ type: "stream", streamId: inputId, piece });
    expect((await answered(inputId)).outcome).toBe("failed");
    expect(under.runner.lines).toEqual([]);
  });

  test("pieces of streams that are not there harm nobody", async () => {
    await boot();
    under.runner.say({ type: "stream", streamId: "ca_none.0", piece: { kind: "end" } });
    expect((await answered(await ask("/text"))).outcome).toBe("succeeded");
  });
});

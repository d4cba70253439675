import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { AuthError, QuotaError, ServerUnreachableError, UsageError } from "../errors.ts";
import { withFakeServer } from "../fake/fake-server.ts";
import { Client } from "./client.ts";
import { resolveConnection } from "./connection.ts";

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "flotilla-client-"));
  vi.stubEnv("FLOTILLA_HOME", home);
  vi.stubEnv("FLOTILLA_SERVER_URL", undefined);
  vi.stubEnv("FLOTILLA_TOKEN", undefined);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true });
});

const writeFile = (content: unknown): void =>
  writeFileSync(join(home, "client.json"), JSON.stringify(content));
const FILE = { serverUrl: "http://file:1", token: "fl_file" };

describe("the connection", () => {
  test("comes from options before environment before file", async () => {
    writeFile(FILE);
    expect(await resolveConnection({})).toEqual(FILE);
    vi.stubEnv("FLOTILLA_SERVER_URL", "http://env:2/");
    vi.stubEnv("FLOTILLA_TOKEN", "fl_env");
    expect(await resolveConnection({})).toEqual({ serverUrl: "http://env:2", token: "fl_env" });
    expect(await resolveConnection({ serverUrl: "http://option:3", token: "fl_option" })).toEqual({
      serverUrl: "http://option:3",
      token: "fl_option",
    });
  });

  test("never sends the file's token to another server", async () => {
    writeFile(FILE);
    await expect(resolveConnection({ serverUrl: "http://other:9" })).rejects.toThrow(AuthError);
    expect((await resolveConnection({ serverUrl: "http://file:1/" })).token).toBe("fl_file");
  });

  test("that is nowhere says how to get one", async () => {
    await expect(resolveConnection({})).rejects.toMatchObject({
      name: "ServerUnreachableError",
      nextStep: expect.stringContaining("flotilla up") as string,
    });
  });

  test("with a wrong address or a broken file is refused", async () => {
    await expect(resolveConnection({ serverUrl: "nonsense", token: "t" })).rejects.toThrow(
      UsageError,
    );
    writeFileSync(join(home, "client.json"), "{");
    await expect(resolveConnection({})).rejects.toThrow(/client.json is not the JSON/);
  });
});

describe("requests", () => {
  test("to a port where nobody listens name the address", async () => {
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, "127.0.0.1", resolve));
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    const serverUrl = `http://127.0.0.1:${port}`;
    const client = new Client({ serverUrl, token: "t", retryForMs: 0 });
    const asking = client.callStatus("ca_x");
    await expect(asking).rejects.toBeInstanceOf(ServerUnreachableError);
    await expect(asking).rejects.toThrow(`no Flotilla server at ${serverUrl}: `);
    await expect(asking).rejects.toThrow("ECONNREFUSED");
  });

  test.each([
    [401, AuthError],
    [403, AuthError],
    [429, QuotaError],
  ])("answered with %d are errors of their own", async (status, kind) => {
    await withFakeServer({ refuses: () => status }, async ({ url }) => {
      const client = new Client({ serverUrl: url, token: "t", retryForMs: 0 });
      await expect(client.callStatus("ca_x")).rejects.toBeInstanceOf(kind);
    });
  });

  test("find a server that came back at another address in the file", async () => {
    await withFakeServer({}, async (server) => {
      writeFile({ serverUrl: "http://127.0.0.1:1", token: "fl_file" });
      const client = new Client();
      const looking = client.lookupFunction("a", "f");
      await client.transport.connection();
      writeFile({ serverUrl: server.url, token: "fl_file" });
      expect(await looking).toMatchObject({ functionId: "fn_1" });
    });
  });
});

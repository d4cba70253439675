import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { applyTar } from "./apply-tar.ts";
import { cutAfter, FakeRegistry, saying, status } from "./fake-registry.ts";
import { parseReference } from "./reference.ts";
import { RegistryClient, type FoundImage } from "./registry-client.ts";
import { basicAuthorization } from "./registry-login.ts";
import { ATTEMPTS_MAX, type OutwardHttp } from "./registry-http.ts";
import { tarOf } from "./test-tar.ts";

const FIRST = tarOf([
  { name: "a", content: "one" },
  { name: "b", content: "gone" },
]);
const SECOND = tarOf([{ name: "a", content: "two" }, { name: ".wh.b" }]);
const IMAGE = { layers: [FIRST, SECOND], config: { Env: ["A=1"], WorkingDir: "/srv" } };

let registry: FakeRegistry;
let dir: string;
let pausesMs: number[];
let http: OutwardHttp;
beforeEach(async () => {
  registry = await FakeRegistry.start();
  dir = mkdtempSync(join(tmpdir(), "flotilla-pull-"));
  pausesMs = [];
  http = {
    network: {
      httpProxy: undefined,
      httpsProxy: undefined,
      noProxy: "",
      trusted: new Set([registry.host]),
    },
    clock: { sleep: (ms) => Promise.resolve(void pausesMs.push(ms)) },
  };
});
afterEach(async () => {
  await registry.close();
  rmSync(dir, { recursive: true, force: true });
});

const client = (signal = new AbortController().signal) => new RegistryClient(http, signal);
const reference = (tag: string) => parseReference(`${registry.host}/org/name${tag}`);
const find = (tag = ":v1") => client().find(reference(tag), "amd64");
const pull = async (found: FoundImage): Promise<void> => {
  for (const layer of found.layers) {
    await applyTar(await client().layer(found, layer, join(dir, "layer")), join(dir));
  }
};

test("an image is found by tag and by digest, and its layers come one over the other", async () => {
  const digest = registry.add("v1", IMAGE);
  const found = await find();
  expect(found).toMatchObject({ digest, config: { env: { A: "1" }, workdir: "/srv" } });
  expect((await find(`@${digest}`)).digest).toBe(digest);
  await pull(found);
  expect(readFileSync(join(dir, "a"), "utf8")).toBe("two");
  expect(existsSync(join(dir, "b"))).toBe(false);
});

test("a token is asked for where it is wanted, and used from then on", async () => {
  registry.token = "t0ken";
  registry.add("v1", IMAGE);
  const one = client();
  const found = await one.find(reference(":v1"), "amd64");
  await one.layer(found, found.layers[0] ?? fail(), join(dir, "layer"));
  const asked = registry.requests.filter((path) => path.startsWith("/token"));
  expect(asked).toEqual(["/token?service=fake&scope=repository%3Aorg%2Fname%3Apull"]);
});

function fail(): never {
  throw new Error("there is no layer");
}

describe("what may pass is tried again", () => {
  test("429 and 503, after as long as the registry asks for", async () => {
    registry.add("v1", IMAGE);
    registry.faults = [
      { path: "manifests/v1", act: status(503) },
      { path: "manifests/v1", act: status(429, { "retry-after": "3" }) },
      { path: "manifests/v1", act: status(429, { "retry-after": "86400" }) },
    ];
    await find();
    expect(pausesMs).toEqual([250, 3_000, 20_000]);
  });

  test("a layer that breaks off, and one with other bytes", async () => {
    registry.add("v1", IMAGE);
    const found = await find();
    const path = found.layers[0]?.digest ?? "";
    registry.faults = [
      { path, act: cutAfter(Buffer.from("half")) },
      { path, act: saying("something else") },
      { path, act: (_, answer) => answer.destroy() },
    ];
    await pull(found);
    expect(readFileSync(join(dir, "a"), "utf8")).toBe("two");
    expect(pausesMs).toHaveLength(3);
  });

  test("but not without end", async () => {
    registry.add("v1", IMAGE);
    const found = await find();
    const path = found.layers[0]?.digest ?? "";
    registry.faults = Array.from({ length: 20 }, () => ({ path, act: saying("wrong") }));
    const attempt = pull(found);
    await expect(attempt).rejects.toThrow(
      /did not arrive whole: got 5 of \d+ bytes, which hash to/,
    );
    await expect(attempt).rejects.toMatchObject({ code: "unavailable" });
    expect(registry.faults).toHaveLength(20 - ATTEMPTS_MAX);
    expect(existsSync(join(dir, "layer"))).toBe(false);
  });
});

describe("what stays wrong is told at once", () => {
  test("an image that is not there", async () => {
    const attempt = find(":none");
    await expect(attempt).rejects.toMatchObject({ code: "not_found", retryable: false });
    await expect(attempt).rejects.toThrow(/no image 127\S+\/org\/name:none: .*manifest unknown/);
    expect(pausesMs).toEqual([]);
  });

  test("one that is not public", async () => {
    registry.add("v1", IMAGE);
    registry.faults = [{ path: "v1", act: status(401, { "www-authenticate": "Basic realm=x" }) }];
    await expect(find()).rejects.toMatchObject({ code: "auth_failed" });
    registry.faults = [{ path: "v1", act: status(403) }];
    await expect(find()).rejects.toMatchObject({ code: "auth_failed" });
  });

  test("a layer that is larger than it says is not read to its end", async () => {
    registry.add("v1", IMAGE);
    const found = await find();
    const path = found.layers[0]?.digest ?? "";
    registry.faults = Array.from({ length: 9 }, () => ({ path, act: saying(Buffer.alloc(1e6)) }));
    await expect(pull(found)).rejects.toThrow(/more than the \d+ bytes of its layer/);
  });

  test("a layer that unpacks to far more than it is", async () => {
    registry.add("v1", { layers: [Buffer.alloc(64 * 1024 * 1024)] });
    const found = await find();
    const bytes = await client().layer(found, found.layers[0] ?? fail(), join(dir, "layer"));
    const read = async (): Promise<void> => {
      for await (const chunk of bytes) expect(chunk.length).toBeGreaterThan(0);
    };
    await expect(read()).rejects.toThrow(/more than 200 times its size/);
  });

  test("a layer that is no gzip", async () => {
    registry.add("v1", IMAGE);
    const found = await find();
    const digest = registry.addBlob(Buffer.from("plain"));
    const layer = {
      mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
      digest,
      byteCount: 5,
    };
    await expect(pull({ ...found, layers: [layer] })).rejects.toThrow(/cannot be unpacked/);
  });
});

describe("nobody is led to where the registry alone may go", () => {
  test("a registry that is not public must be configured", async () => {
    registry.add("v1", IMAGE);
    http = { ...http, network: { ...http.network, trusted: new Set() } };
    await expect(find()).rejects.toThrow(/is not on the public Internet/);
    expect(registry.requests).toEqual([]);
  });

  test("redirects to this machine, and to what is not HTTP", async () => {
    registry.add("v1", IMAGE);
    for (const location of ["http://127.0.0.1:1/x", "http://169.254.169.254/", "http://[::1]:9/"]) {
      registry.faults = [{ path: "v1", act: status(307, { location }) }];
      await expect(find()).rejects.toThrow(/is not on the public Internet/);
    }
    registry.faults = [{ path: "v1", act: status(307, { location: "file:///etc/passwd" }) }];
    await expect(find()).rejects.toThrow(/redirects to file:/);
    registry.faults = Array.from({ length: 9 }, () => ({
      path: "v1",
      act: status(307, { location: "/v2/org/name/manifests/v1" }),
    }));
    await expect(find()).rejects.toThrow(/redirects without end/);
  });

  test("a login is told to who gives tokens over TLS or on the registry's host, no other", async () => {
    registry.add("v1", IMAGE);
    registry.token = "t0ken";
    const login = { username: "ann", password: "s3cret" };
    registry.tokenFor = basicAuthorization(login);
    const signal = new AbortController().signal;
    const found = await new RegistryClient(http, signal, login).find(reference(":v1"), "amd64");
    expect(found.layers).toHaveLength(2);
    const bad = new RegistryClient(http, signal, { ...login, password: "wr0ng" });
    const refused: unknown = await bad.find(reference(":v1"), "amd64").catch((e: unknown) => e);
    expect(refused).toMatchObject({ code: "auth_failed" });
    expect(String(refused)).toMatch(/not given to the login of its secret/);
    expect(String(refused)).not.toContain("wr0ng");
    await expect(find()).rejects.toThrow(/Image.fromRegistry\(ref, { secret }\)/);
    registry.realm = "http://elsewhere.example/token";
    const away = new RegistryClient(http, signal, login).find(reference(":v1"), "amd64");
    await expect(away).rejects.toThrow(/sent to elsewhere.example without TLS/);
  });

  test("a token goes to its own registry only", async () => {
    const other = await FakeRegistry.start();
    registry.token = "t0ken";
    registry.add("v1", IMAGE);
    let said: string | undefined = "nothing asked";
    const seen = "/elsewhere";
    other.faults = [
      {
        path: seen,
        act: (request, answer) => {
          said = request.headers.authorization;
          answer.writeHead(404).end();
        },
      },
    ];
    http = { ...http, network: { ...http.network, trusted: new Set([registry.host, other.host]) } };
    registry.faults = [];
    const one = client();
    await one.find(reference(":v1"), "amd64");
    registry.faults = [
      { path: "v1", act: status(307, { location: `http://${other.host}${seen}` }) },
    ];
    await expect(one.find(reference(":v1"), "amd64")).rejects.toMatchObject({ code: "not_found" });
    expect(said).toBeUndefined();
    await other.close();
  });
});

test("a cancelled pull ends with the reason of its signal", async () => {
  registry.add("v1", IMAGE);
  const cancelling = new AbortController();
  registry.faults = [{ path: "v1", act: () => cancelling.abort(new Error("no more")) }];
  const attempt = client(cancelling.signal).find(reference(":v1"), "amd64");
  await expect(attempt).rejects.toThrow("no more");
});

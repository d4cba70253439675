/** The client against Debian's docker-registry: what it stores is what is found and pulled. */
import { mkdtempSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { applyTar } from "./apply-tar.ts";
import { parseReference } from "./reference.ts";
import { RegistryClient } from "./registry-client.ts";
import type { RegistryLogin } from "./registry-login.ts";
import { hasRegistry, LOGIN, TestRegistry } from "./test-registry.ts";
import { tarOf } from "./test-tar.ts";

const CONFIG = { architecture: "amd64", os: "linux", config: { Env: ["A=1"] } };
const LAYERS = [
  tarOf([
    { name: "a", content: "one" },
    { name: "dir", flag: "5" },
    { name: "dir/b", content: "b" },
  ]),
  tarOf([{ name: "a", content: "two" }, { name: "dir/.wh.b" }]),
];

let open: TestRegistry | undefined;
let closed: TestRegistry | undefined;

beforeAll(async () => {
  if (!hasRegistry) return;
  open = await TestRegistry.start();
  closed = await TestRegistry.start({ login: true });
});

afterAll(() => {
  open?.close();
  closed?.close();
});

function clientOf({ host }: TestRegistry, login?: RegistryLogin): RegistryClient {
  const network = {
    httpProxy: undefined,
    httpsProxy: undefined,
    noProxy: "",
    trusted: new Set([host]),
  };
  const clock = { sleep: () => Promise.resolve() };
  return new RegistryClient({ network, clock }, new AbortController().signal, login);
}

test.skipIf(!hasRegistry)(
  "an image that was pushed is found by tag and digest, and pulled",
  async () => {
    if (open === undefined) throw new Error("no registry");
    const { host, dir } = open;
    const digest = await open.pushImage("v1", LAYERS, CONFIG);
    const listType = "application/vnd.docker.distribution.manifest.list.v2+json";
    const mediaType = "application/vnd.docker.distribution.manifest.v2+json";
    const platform = { os: "linux", architecture: "amd64" };
    const manifests = [{ mediaType, digest, size: 1, platform }];
    await open.pushManifest("list", { schemaVersion: 2, mediaType: listType, manifests }, listType);

    const client = clientOf(open);
    for (const name of [":v1", ":list", `@${digest}`]) {
      const found = await client.find(parseReference(`${host}/org/name${name}`), "amd64");
      expect(found).toMatchObject({ digest, config: { env: { A: "1" }, workdir: "/" } });
    }
    const found = await client.find(parseReference(`${host}/org/name:list`), "amd64");
    const root = mkdtempSync(join(dir, "root-"));
    for (const layer of found.layers) {
      await applyTar(await client.layer(found, layer, join(dir, "layer")), root);
    }
    expect(readFileSync(join(root, "a"), "utf8")).toBe("two");
    expect(() => readFileSync(join(root, "dir/b"))).toThrow(/ENOENT/);
    const missing = client.find(parseReference(`${host}/org/none`), "amd64");
    await expect(missing).rejects.toMatchObject({ code: "not_found" });
  },
);

test.skipIf(!hasRegistry)("one behind a password is read with it, and with no other", async () => {
  if (closed === undefined) throw new Error("no registry");
  const digest = await closed.pushImage("v1", LAYERS, CONFIG);
  const reference = parseReference(`${closed.host}/org/name:v1`);
  const client = clientOf(closed, LOGIN);
  const found = await client.find(reference, "amd64");
  expect(found.digest).toBe(digest);
  const root = mkdtempSync(join(closed.dir, "root-"));
  for (const layer of found.layers) {
    await applyTar(await client.layer(found, layer, join(closed.dir, "layer")), root);
  }
  expect(readFileSync(join(root, "a"), "utf8")).toBe("two");
  for (const login of [undefined, { ...LOGIN, password: "wr0ng" }, { ...LOGIN, username: "bob" }]) {
    const refused: unknown = await clientOf(closed, login)
      .find(reference, "amd64")
      .catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "auth_failed" });
    expect(String(refused)).not.toContain("wr0ng");
  }
});

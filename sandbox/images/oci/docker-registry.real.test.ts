/** The client against Debian's docker-registry: what it stores is what is found and pulled. */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { applyTar } from "./apply-tar.ts";
import { parseReference } from "./reference.ts";
import { RegistryClient } from "./registry-client.ts";
import { tarOf } from "./test-tar.ts";

const isInstalled = spawnSync("docker-registry", ["--version"]).status === 0;
if (!isInstalled) {
  process.stderr.write(
    "SKIPPED: docker-registry is not installed: apt-get install docker-registry\n",
  );
}

let dir: string;
let host: string;
let server: ChildProcess | undefined;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "flotilla-registry-"));
  if (!isInstalled) return;
  host = `127.0.0.1:${await freePort()}`;
  const config = {
    version: "0.1",
    log: { level: "error" },
    storage: { filesystem: { rootdirectory: join(dir, "storage") } },
    http: { addr: host },
  };
  // JSON is YAML.
  writeFileSync(join(dir, "config.yml"), JSON.stringify(config));
  server = spawn("docker-registry", ["serve", join(dir, "config.yml")], { stdio: "ignore" });
  await untilServing();
});

afterAll(() => {
  server?.kill("SIGKILL");
  rmSync(dir, { recursive: true, force: true });
});

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", () => resolve()));
  const address = probe.address();
  await new Promise<void>((resolve) => probe.close(() => resolve()));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

async function untilServing(): Promise<void> {
  for (;;) {
    const answer = await fetch(`http://${host}/v2/`).catch(() => undefined);
    if (answer?.ok === true) return;
    if (server?.exitCode !== null) throw new Error("docker-registry ended");
  }
}

async function push(bytes: Buffer, mediaType: string) {
  const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  const begun = await fetch(`http://${host}/v2/org/name/blobs/uploads/`, { method: "POST" });
  const location = new URL(begun.headers.get("location") ?? "", `http://${host}`);
  location.searchParams.set("digest", digest);
  const headers = { "content-type": "application/octet-stream" };
  const stored = await fetch(location, { method: "PUT", headers, body: new Uint8Array(bytes) });
  expect(stored.status).toBe(201);
  return { mediaType, digest, size: bytes.length };
}

async function pushManifest(name: string, document: object, mediaType: string): Promise<string> {
  const body = JSON.stringify(document);
  const headers = { "content-type": mediaType };
  const url = `http://${host}/v2/org/name/manifests/${name}`;
  const stored = await fetch(url, { method: "PUT", headers, body });
  expect(stored.status).toBe(201);
  return `sha256:${createHash("sha256").update(body).digest("hex")}`;
}

test.skipIf(!isInstalled)(
  "an image that was pushed is found by tag and digest, and pulled",
  async () => {
    const docker = "application/vnd.docker";
    const layers = [
      tarOf([
        { name: "a", content: "one" },
        { name: "dir", flag: "5" },
        { name: "dir/b", content: "b" },
      ]),
      tarOf([{ name: "a", content: "two" }, { name: "dir/.wh.b" }]),
    ];
    const config = Buffer.from(
      JSON.stringify({ architecture: "amd64", os: "linux", config: { Env: ["A=1"] } }),
    );
    const mediaType = `${docker}.distribution.manifest.v2+json`;
    const digest = await pushManifest(
      "v1",
      {
        schemaVersion: 2,
        mediaType,
        config: await push(config, `${docker}.container.image.v1+json`),
        layers: await Promise.all(
          layers.map((layer) => push(gzipSync(layer), `${docker}.image.rootfs.diff.tar.gzip`)),
        ),
      },
      mediaType,
    );
    const listType = `${docker}.distribution.manifest.list.v2+json`;
    const size = 1;
    const manifests = [
      { mediaType, digest, size, platform: { os: "linux", architecture: "amd64" } },
    ];
    await pushManifest("list", { schemaVersion: 2, mediaType: listType, manifests }, listType);

    const network = {
      httpProxy: undefined,
      httpsProxy: undefined,
      noProxy: "",
      trusted: new Set([host]),
    };
    const clock = { sleep: () => Promise.resolve() };
    const client = new RegistryClient({ network, clock }, new AbortController().signal);
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

/** Debian's docker-registry on loopback, for tests: public, or behind a password. */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { assert } from "../../../core/index.ts";

/** The login of a registry that has one. */
export const LOGIN = { username: "ann", password: "pa:ss wörd" } as const;
/** bcrypt of the password, as `htpasswd -B` writes it: the registry knows no other kind. */
const PASSWORD_HASH = "$2y$05$abcdefghijklmnopqrstuuHYAqSTZaD2G3ZsfHYCUGgOo5vA33Sre";
const DOCKER = "application/vnd.docker";
const MANIFEST_TYPE = `${DOCKER}.distribution.manifest.v2+json`;

/** Whether it is installed; tests without it are skipped, and say so. */
export const hasRegistry = spawnSync("docker-registry", ["--version"]).status === 0;
if (!hasRegistry) {
  process.stderr.write(
    "SKIPPED: docker-registry is not installed: apt-get install docker-registry\n",
  );
}

export class TestRegistry {
  /** `127.0.0.1:port`. */
  readonly host: string;
  readonly dir: string;
  readonly #server: ChildProcess;
  readonly #headers: Readonly<Record<string, string>>;

  private constructor(
    made: Pick<TestRegistry, "host" | "dir">,
    server: ChildProcess,
    login: boolean,
  ) {
    this.host = made.host;
    this.dir = made.dir;
    this.#server = server;
    const { username, password } = LOGIN;
    const basic = Buffer.from(`${username}:${password}`).toString("base64");
    this.#headers = login ? { authorization: `Basic ${basic}` } : {};
  }

  static async start({ login = false } = {}): Promise<TestRegistry> {
    const dir = mkdtempSync(join(tmpdir(), "flotilla-registry-"));
    const host = `127.0.0.1:${await freePort()}`;
    const path = join(dir, "htpasswd");
    writeFileSync(path, `${LOGIN.username}:${PASSWORD_HASH}\n`);
    const config = {
      version: "0.1",
      log: { level: "error" },
      storage: { filesystem: { rootdirectory: join(dir, "storage") } },
      http: { addr: host },
      ...(login ? { auth: { htpasswd: { realm: "flotilla", path } } } : {}),
    };
    // JSON is YAML.
    writeFileSync(join(dir, "config.yml"), JSON.stringify(config));
    const server = spawn("docker-registry", ["serve", join(dir, "config.yml")], {
      stdio: "ignore",
    });
    const registry = new TestRegistry({ dir, host }, server, login);
    await registry.#serving();
    return registry;
  }

  close(): void {
    this.#server.kill("SIGKILL");
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** Stores an image of these archives under a tag; gives the digest of its manifest. */
  async pushImage(tag: string, layers: readonly Buffer[], config: object): Promise<string> {
    const bytes = Buffer.from(JSON.stringify(config));
    return this.pushManifest(
      tag,
      {
        schemaVersion: 2,
        mediaType: MANIFEST_TYPE,
        config: await this.#push(bytes, `${DOCKER}.container.image.v1+json`),
        layers: await Promise.all(
          layers.map((layer) =>
            this.#push(gzipSync(layer), `${DOCKER}.image.rootfs.diff.tar.gzip`),
          ),
        ),
      },
      MANIFEST_TYPE,
    );
  }

  async pushManifest(name: string, document: object, mediaType: string): Promise<string> {
    const body = JSON.stringify(document);
    const headers = { ...this.#headers, "content-type": mediaType };
    const url = `http://${this.host}/v2/org/name/manifests/${name}`;
    const { status } = await fetch(url, { method: "PUT", headers, body });
    assert(status === 201, `the registry answered ${status} to ${name}`);
    return `sha256:${createHash("sha256").update(body).digest("hex")}`;
  }

  async #push(bytes: Buffer, mediaType: string) {
    const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
    const begun = await fetch(`http://${this.host}/v2/org/name/blobs/uploads/`, {
      method: "POST",
      headers: this.#headers,
    });
    const location = new URL(begun.headers.get("location") ?? "", `http://${this.host}`);
    location.searchParams.set("digest", digest);
    const headers = { ...this.#headers, "content-type": "application/octet-stream" };
    const stored = await fetch(location, { method: "PUT", headers, body: new Uint8Array(bytes) });
    assert(stored.status === 201, `the registry answered ${stored.status} to a blob`);
    return { mediaType, digest, size: bytes.length };
  }

  async #serving(): Promise<void> {
    for (;;) {
      const answer = await fetch(`http://${this.host}/v2/`, { headers: this.#headers }).catch(
        () => undefined,
      );
      if (answer?.ok === true) return;
      assert(this.#server.exitCode === null, "docker-registry ended");
    }
  }
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", () => resolve()));
  const address = probe.address();
  await new Promise<void>((resolve) => probe.close(() => resolve()));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

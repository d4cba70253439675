/** A registry on loopback for tests: one repository, with faults on order. */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";

export interface FakeImage {
  /** Archives of its layers, unpacked. */
  readonly layers: readonly Buffer[];
  readonly config?: object;
}

/** What goes wrong with the next requests of a path that has this in it, one after the other. */
export interface Fault {
  readonly path: string;
  readonly act: (request: IncomingMessage, answer: ServerResponse) => void;
}

export class FakeRegistry {
  readonly #blobs = new Map<string, Buffer>();
  readonly #tags = new Map<string, { readonly bytes: Buffer; readonly mediaType: string }>();
  readonly #server: Server;
  readonly requests: string[] = [];
  faults: Fault[] = [];
  /** When set, everything but the token wants it. */
  token: string | undefined;
  /** When set, the token is given to this authorization alone. */
  tokenFor: string | undefined;
  /** Where tokens are said to be; by default here. */
  realm: string | undefined;
  #host = "";

  private constructor() {
    this.#server = createServer((request, answer) => this.#answer(request, answer));
  }

  static async start(): Promise<FakeRegistry> {
    const registry = new FakeRegistry();
    await new Promise<void>((resolve) => registry.#server.listen(0, "127.0.0.1", () => resolve()));
    const address = registry.#server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    registry.#host = `127.0.0.1:${address.port}`;
    return registry;
  }

  /** `127.0.0.1:port`. */
  get host(): string {
    return this.#host;
  }

  /** Adds an image under a tag, for linux/amd64 and arm64; gives the digest of its manifest. */
  add(tag: string, { layers, config = {} }: FakeImage): string {
    const put = (bytes: Buffer, mediaType: string) => ({
      mediaType,
      digest: this.addBlob(bytes),
      size: bytes.length,
    });
    const manifest = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        config: put(
          Buffer.from(JSON.stringify({ config })),
          "application/vnd.oci.image.config.v1+json",
        ),
        layers: layers.map((layer) =>
          put(gzipSync(layer), "application/vnd.oci.image.layer.v1.tar+gzip"),
        ),
      }),
    );
    const digest = this.addBlob(manifest);
    this.#tags.set(digest, {
      bytes: manifest,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
    });
    const platforms = ["amd64", "arm64"].map((architecture) => ({
      digest,
      platform: { os: "linux", architecture },
    }));
    const index = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: platforms }));
    this.#tags.set(tag, { bytes: index, mediaType: "application/vnd.oci.image.index.v1+json" });
    return digest;
  }

  addBlob(bytes: Buffer): string {
    const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
    this.#blobs.set(digest, bytes);
    return digest;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #answer(request: IncomingMessage, answer: ServerResponse): void {
    const path = request.url ?? "";
    this.requests.push(path);
    const fault = this.faults.findIndex((one) => path.includes(one.path));
    const [found] = fault < 0 ? [] : this.faults.splice(fault, 1);
    if (found !== undefined) found.act(request, answer);
    else if (path.startsWith("/token")) this.#giveToken(request, answer);
    else if (this.#mayRead(request)) this.#give(path, answer);
    else this.#challenge(answer);
  }

  #mayRead({ headers }: IncomingMessage): boolean {
    return this.token === undefined || headers.authorization === `Bearer ${this.token}`;
  }

  #giveToken({ headers }: IncomingMessage, answer: ServerResponse): void {
    const isRight = this.tokenFor === undefined || headers.authorization === this.tokenFor;
    answer.statusCode = isRight ? 200 : 401;
    answer.end(JSON.stringify(isRight ? { token: this.token ?? "" } : {}));
  }

  #challenge(answer: ServerResponse): void {
    const realm = this.realm ?? `http://${this.#host}/token`;
    answer.setHeader("www-authenticate", `Bearer realm="${realm}",service="fake"`);
    answer.statusCode = 401;
    answer.end();
  }

  #give(path: string, answer: ServerResponse): void {
    const [, what = "", name = ""] = /^\/v2\/org\/name\/(manifests|blobs)\/(.+)$/.exec(path) ?? [];
    const bytes = what === "blobs" ? this.#blobs.get(name) : this.#tags.get(name)?.bytes;
    if (bytes === undefined) {
      answer.statusCode = 404;
      answer.end(JSON.stringify({ errors: [{ message: "manifest unknown" }] }));
      return;
    }
    answer.end(bytes);
  }
}

/** An answer with a status and nothing else. */
export function status(code: number, headers: Readonly<Record<string, string>> = {}): Fault["act"] {
  return (_, answer) => void answer.writeHead(code, headers).end();
}

/** An answer that breaks off after some bytes. */
export function cutAfter(bytes: Buffer): Fault["act"] {
  return (_, answer) => {
    answer.writeHead(200, { "content-length": String(bytes.length + 1_000) });
    answer.write(bytes, () => answer.destroy());
  };
}

/** An answer with other bytes. */
export function saying(bytes: Buffer | string): Fault["act"] {
  return (_, answer) => void answer.end(bytes);
}

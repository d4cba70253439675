/**
 * A small client of the OCI distribution protocol: finds an image by tag or digest, and gives its
 * layers, each verified.
 *
 * Everything that is read by digest is hashed; a tag is believed once and is a digest from then
 * on. A login is told to the registry and to who it says gives its tokens, over TLS or on the
 * registry's own host, and to nobody else. Source: OCI distribution specification 1.1, OCI
 * image specification 1.1, Docker registry token authentication (2025-06).
 */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { messageOf, PlatformError } from "../../../core/index.ts";
import { awayError, wrongImage } from "./image-error.ts";
import { parseImageConfig, parseManifest, type Descriptor, type ImageConfig } from "./manifest.ts";
import type { ImageReference } from "./reference.ts";
import { basicAuthorization, type RegistryLogin } from "./registry-login.ts";
import { ask, readBody, retried, type OutwardAnswer, type OutwardHttp } from "./registry-http.ts";

/** An image as it was found: its digest decides everything else. */
export interface FoundImage {
  readonly reference: ImageReference;
  /** Of the manifest for our platform. */
  readonly digest: string;
  readonly layers: readonly Descriptor[];
  readonly config: ImageConfig;
}

const MANIFEST_BYTES_MAX = 4 * 1024 * 1024;
const CONFIG_BYTES_MAX = 8 * 1024 * 1024;
const TOKEN_BYTES_MAX = 64 * 1024;
const LAYER_BYTES_MAX = 32 * 1024 ** 3;
/** A layer may unpack to this many times its size, once it is larger than a few megabytes. */
const RATIO_MAX = 200;
const RATIO_FREE_BYTES = 10 * 1024 * 1024;
const RATE_LIMITED = 429;
const MANIFEST_TYPES = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
].join(", ");

export class RegistryClient {
  readonly #http: OutwardHttp;
  readonly #signal: AbortSignal;
  /** Authorization by repository. */
  readonly #tokens = new Map<string, string>();
  readonly #login: RegistryLogin | undefined;

  /** @param login For registries that are not public. */
  constructor(http: OutwardHttp, signal: AbortSignal, login?: RegistryLogin) {
    this.#http = http;
    this.#signal = signal;
    this.#login = login;
  }

  /** Finds an image for a platform such as `linux/amd64`. @throws PlatformError `not_found`, … */
  async find(reference: ImageReference, architecture: string): Promise<FoundImage> {
    const first = await this.#manifest(reference, reference.target);
    const found = parseManifest(first.bytes, architecture, nameOf(reference));
    if (found.kind === "index") {
      const inner = await this.#manifest(reference, found.digest);
      const manifest = parseManifest(inner.bytes, architecture, nameOf(reference));
      if (manifest.kind === "index")
        throw wrongImage(`${nameOf(reference)} is an index of indexes`);
      return this.#withConfig(reference, inner.digest, manifest);
    }
    return this.#withConfig(reference, first.digest, found);
  }

  /**
   * Downloads a layer to `file` and gives its unpacked bytes.
   *
   * @throws PlatformError when the bytes are not those of the digest, after several attempts.
   */
  async layer(
    { reference }: Pick<FoundImage, "reference">,
    descriptor: Descriptor,
    file: string,
  ): Promise<AsyncIterable<Uint8Array>> {
    await retried(this.#http.clock, this.#signal, () =>
      this.#download(reference, descriptor, file),
    );
    return unpacked(file, descriptor);
  }

  async #withConfig(
    reference: ImageReference,
    digest: string,
    manifest: { readonly layers: readonly Descriptor[]; readonly config: Descriptor },
  ): Promise<FoundImage> {
    const path = `blobs/${manifest.config.digest}`;
    const bytes = await this.#verified(reference, path, manifest.config.digest, CONFIG_BYTES_MAX);
    return { reference, digest, layers: manifest.layers, config: parseImageConfig(bytes) };
  }

  async #manifest(
    reference: ImageReference,
    target: string,
  ): Promise<{ readonly bytes: Buffer; readonly digest: string }> {
    const wanted = target.startsWith("sha256:") ? target : undefined;
    const path = `manifests/${target}`;
    const bytes = await this.#verified(reference, path, wanted, MANIFEST_BYTES_MAX);
    return { bytes, digest: digestOf(bytes) };
  }

  async #verified(
    reference: ImageReference,
    path: string,
    digest: string | undefined,
    byteCountMax: number,
  ): Promise<Buffer> {
    return retried(this.#http.clock, this.#signal, async () => {
      const { body } = await this.#get(reference, path);
      const bytes = await readBody(body, byteCountMax);
      const found = digestOf(bytes);
      if (digest === undefined || digest === found) return bytes;
      throw awayError(`${nameOf(reference)}: ${path} hashes to ${found}`);
    });
  }

  async #download(
    reference: ImageReference,
    { digest, byteCount }: Descriptor,
    file: string,
  ): Promise<void> {
    if (byteCount > LAYER_BYTES_MAX) throw wrongImage(`layer ${digest} is too large`);
    const { body } = await this.#get(reference, `blobs/${digest}`);
    const hash = createHash("sha256");
    let received = 0;
    const check = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        received += chunk.length;
        hash.update(chunk);
        const isTooMuch = received > byteCount;
        done(isTooMuch ? new Error(`more than the ${byteCount} bytes of its layer`) : null, chunk);
      },
    });
    try {
      await pipeline(body, check, createWriteStream(file), { signal: this.#signal });
      const found = `sha256:${hash.digest("hex")}`;
      if (found !== digest) {
        throw new Error(`got ${received} of ${byteCount} bytes, which hash to ${found}`);
      }
    } catch (error) {
      await rm(file, { force: true });
      this.#signal.throwIfAborted();
      const what = `${nameOf(reference)}: layer ${digest} did not arrive whole`;
      throw awayError(`${what}: ${messageOf(error)}`, error);
    }
  }

  async #get(reference: ImageReference, path: string): Promise<OutwardAnswer> {
    const { scheme, registry, repository } = reference;
    const url = `${scheme}://${registry}/v2/${repository}/${path}`;
    const answer = await this.#ask(url, repository);
    if (answer.status !== 401) return this.#judge(answer, reference, path);
    answer.body.resume();
    const challenge = answer.headers["www-authenticate"] ?? "";
    this.#tokens.set(repository, await this.#authorization(challenge, reference));
    return this.#judge(await this.#ask(url, repository), reference, path);
  }

  #ask(url: string, repository: string): Promise<OutwardAnswer> {
    const authorization = this.#tokens.get(repository);
    const headers = {
      accept: MANIFEST_TYPES,
      ...(authorization === undefined ? {} : { authorization }),
    };
    return ask(this.#http, { method: "GET", url, headers, signal: this.#signal });
  }

  async #judge(
    answer: OutwardAnswer,
    reference: ImageReference,
    path: string,
  ): Promise<OutwardAnswer> {
    const { status } = answer;
    if (status === 200) return answer;
    const said = await readBody(answer.body, TOKEN_BYTES_MAX).catch(() => Buffer.alloc(0));
    const name = nameOf(reference);
    const words = this.#login === undefined ? wordsOf(said) : "";
    const why = `${reference.registry} answered ${status} for ${path}${words}`;
    if (status === RATE_LIMITED || status >= 500) throw refusedForNow(`${name}: ${why}`, answer);
    if (status === 401 || status === 403) {
      throw this.#refused(name, why);
    }
    if (status === 404)
      throw wrongImage(`there is no image ${name}: ${why}`, { code: "not_found" });
    throw wrongImage(`${name}: ${why}`);
  }

  /** Nobody may read it, or not whose login this is. */
  #refused(name: string, why: string): PlatformError {
    const isOpen = this.#login === undefined;
    const what = isOpen
      ? "is not public, or does not exist"
      : "is not given to the login of its secret";
    const next = isOpen ? "; a login goes with it as Image.fromRegistry(ref, { secret })" : "";
    return wrongImage(`${name} ${what}: ${why}${next}`, { code: "auth_failed" });
  }

  /** What the registry wants to be told: the login itself, or a token that its like gives. */
  async #authorization(challenge: string, reference: ImageReference): Promise<string> {
    const name = nameOf(reference);
    if (!/^basic\b/i.test(challenge)) return `Bearer ${await this.#token(challenge, reference)}`;
    if (this.#login !== undefined) return basicAuthorization(this.#login);
    throw this.#refused(name, `${reference.registry} asks for a password`);
  }

  /** Headers for who gives tokens; a login is not told to another host in the clear. */
  #tokenHeaders(realm: URL, { scheme, registry }: ImageReference): Record<string, string> {
    if (this.#login === undefined) return {};
    const isOwn = realm.origin === new URL(`${scheme}://${registry}`).origin;
    if (realm.protocol === "https:" || isOwn) {
      return { authorization: basicAuthorization(this.#login) };
    }
    throw wrongImage(`${registry} wants the password sent to ${realm.host} without TLS`);
  }

  /** A token for reading, as the registry says where to get one. */
  async #token(challenge: string, reference: ImageReference): Promise<string> {
    const name = nameOf(reference);
    const fields = new Map(
      [...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = "", value = ""]) => [key, value]),
    );
    const realm = fields.get("realm");
    if (!/^bearer /i.test(challenge) || realm === undefined || !URL.canParse(realm)) {
      throw wrongImage(`${name} asks for a kind of login that is not known`, {
        code: "auth_failed",
      });
    }
    const url = new URL(realm);
    const service = fields.get("service");
    if (service !== undefined) url.searchParams.set("service", service);
    const scope = fields.get("scope") ?? `repository:${reference.repository}:pull`;
    url.searchParams.set("scope", scope);
    const headers = this.#tokenHeaders(url, reference);
    const asked = { method: "GET", url: url.href, headers, signal: this.#signal } as const;
    const answer = await ask(this.#http, asked);
    const body = await readBody(answer.body, TOKEN_BYTES_MAX);
    if (answer.status === RATE_LIMITED || answer.status >= 500) {
      throw refusedForNow(`${url.host} answered ${answer.status}`, answer);
    }
    const token = answer.status === 200 ? tokenIn(body) : undefined;
    if (token !== undefined) return token;
    throw this.#refused(name, `${url.host} gives no token`);
  }
}

/** The bytes of a file of a layer, unpacked, as far as they stay within bounds. */
async function* unpacked(
  file: string,
  { mediaType, byteCount, digest }: Descriptor,
): AsyncGenerator<Uint8Array, void, void> {
  const bytes = createReadStream(file);
  const source = decompressed(bytes, mediaType);
  let unpackedBytes = 0;
  try {
    for await (const chunk of source as AsyncIterable<Uint8Array>) {
      unpackedBytes += chunk.length;
      if (unpackedBytes > RATIO_FREE_BYTES && unpackedBytes > byteCount * RATIO_MAX) {
        throw wrongImage(`layer ${digest} unpacks to more than ${RATIO_MAX} times its size`);
      }
      yield chunk;
    }
  } catch (error) {
    if (error instanceof PlatformError) throw error;
    throw wrongImage(`layer ${digest} cannot be unpacked: ${messageOf(error)}`, { cause: error });
  } finally {
    bytes.destroy();
  }
}

function decompressed(bytes: NodeJS.ReadableStream, mediaType: string): NodeJS.ReadableStream {
  const fail = (unpacker: NodeJS.ReadWriteStream): NodeJS.ReadWriteStream => {
    bytes.once("error", (error) => unpacker.emit("error", error));
    return bytes.pipe(unpacker);
  };
  if (/[+.]gzip$/.test(mediaType)) return fail(createGunzip());
  if (/[+.]zstd$/.test(mediaType)) return fail(createZstdDecompress());
  return bytes;
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

function nameOf({ registry, repository, target }: ImageReference): string {
  const separator = target.startsWith("sha256:") ? "@" : ":";
  return `${registry}/${repository}${separator}${target}`;
}

/** What a registry says in its error, shortened. */
function wordsOf(body: Uint8Array): string {
  const [, message] = /"message"\s*:\s*"([^"]{1,200})"/.exec(new TextDecoder().decode(body)) ?? [];
  return message === undefined ? "" : ` (${message})`;
}

function refusedForNow(message: string, { headers }: OutwardAnswer): PlatformError {
  const seconds = Number(headers["retry-after"]);
  const retryAfterMs = Number.isFinite(seconds) && seconds >= 0 ? seconds * 1_000 : undefined;
  const isLimit = message.includes(` ${RATE_LIMITED}`);
  return new PlatformError(message, {
    code: isLimit ? "rate_limited" : "unavailable",
    retryable: true,
    ...(retryAfterMs === undefined ? {} : { details: { retryAfterMs } }),
  });
}

function tokenIn(body: Uint8Array): string | undefined {
  const [, token] =
    /"(?:token|access_token)"\s*:\s*"([^"\s]+)"/.exec(new TextDecoder().decode(body)) ?? [];
  return token;
}

/** npm itself, for `npmInstall`: one version, from the host's registry, known by its hash. */
import { createHash } from "node:crypto";
import { createGunzip } from "node:zlib";
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Clock } from "../../../core/index.ts";
import { awayError, wrongImage } from "../oci/image-error.ts";
import { ask, readBody, retried } from "../oci/registry-http.ts";
import type { HostIndexes } from "./host-indexes.ts";

const VERSION = "12.2.1";
/** SHA-512 of the archive, as registry.npmjs.org gives it (2026-11-26). */
const INTEGRITY =
  "bKCmFRVT/BB+YPEYbZwQ1XUI3N5t4xKSpU1MxOjo7z3iWzKBJ0ZXRC1xFdEN+TC7N5TdywaBzf2dMXGJq/e2PQ==";
const DEFAULT_REGISTRY = "https://registry.npmjs.org/";
const ARCHIVE_BYTES_MAX = 32 * 1024 * 1024;

/** What the layer with npm is known by. */
export const NPM_IDENTITY: readonly string[] = [VERSION, INTEGRITY];

export interface NpmFetch {
  readonly work: string;
  readonly indexes: HostIndexes;
  readonly clock: Pick<Clock, "sleep">;
  readonly signal: AbortSignal;
}

/** Fetches it and gives the path of the tar archive; its one folder is `package`. */
export async function fetchNpm({ work, indexes, clock, signal }: NpmFetch): Promise<string> {
  const registry = indexes.variables["npm_config_registry"] ?? DEFAULT_REGISTRY;
  const url = new URL(
    `npm/-/npm-${VERSION}.tgz`,
    registry.endsWith("/") ? registry : `${registry}/`,
  );
  const http = { network: indexes, clock, certificates: indexes.certificates };
  const bytes = await retried(clock, signal, async () => {
    const answer = await ask(http, { method: "GET", url: url.href, headers: {}, signal });
    const body = await readBody(answer.body, ARCHIVE_BYTES_MAX);
    if (answer.status === 200) return body;
    throw awayError(`${url.host} answered ${answer.status} for npm ${VERSION}`);
  });
  const found = createHash("sha512").update(bytes).digest("base64");
  if (found !== INTEGRITY)
    throw wrongImage(`${url.href} is not npm ${VERSION}: its hash is ${found}`);
  const path = join(work, "npm.tar");
  await pipeline(Readable.from([bytes]), createGunzip(), createWriteStream(path));
  return path;
}

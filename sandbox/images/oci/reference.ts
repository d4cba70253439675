/** References to images of registries, as people write them. */
import { wrongImage } from "./image-error.ts";

export interface ImageReference {
  /** Host and port of the registry's API. */
  readonly registry: string;
  readonly scheme: "http" | "https";
  readonly repository: string;
  /** A tag, or a digest such as `sha256:…`. */
  readonly target: string;
}

const DOCKER_HUB = "registry-1.docker.io";
const HUB_NAMES = new Set(["docker.io", "index.docker.io", "registry-1.docker.io"]);
const REPOSITORY = /^[a-z0-9]+([._-]+[a-z0-9]+)*(\/[a-z0-9]+([._-]+[a-z0-9]+)*)*$/;
const HOST = /^([a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(:[0-9]{1,5})?$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

/**
 * Reads `[registry/]repository[:tag][@digest]` as Docker does: without a registry it is Docker
 * Hub's, without a tag `latest`. A registry on this machine is spoken to without TLS.
 *
 * @throws PlatformError `invalid_request`
 */
export function parseReference(text: string): ImageReference {
  const [name = "", digest, ...more] = text.split("@");
  const { host, path } = splitHost(name);
  const colon = path.lastIndexOf(":");
  const tag = colon < 0 ? "latest" : path.slice(colon + 1);
  const bare = colon < 0 ? path : path.slice(0, colon);
  const registry = HUB_NAMES.has(host) ? DOCKER_HUB : host.toLowerCase();
  const repository = registry === DOCKER_HUB && !bare.includes("/") ? `library/${bare}` : bare;
  const parts = { registry, repository, tag, digest };
  if (more.length > 0 || !isRight(parts)) {
    throw wrongImage(
      `"${text.slice(0, 200)}" is no image of a registry: write it as python:3.12-slim, ` +
        "registry.example.com/name:tag or name@sha256:<64 hexadecimal digits>",
    );
  }
  return { registry, scheme: schemeOf(registry), repository, target: digest ?? tag };
}

/** What is before the first slash is a host when it looks like one. */
function splitHost(name: string): { readonly host: string; readonly path: string } {
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const isHost = /[.:]/.test(first) || first === "localhost";
  return isHost ? { host: first, path: name.slice(slash + 1) } : { host: DOCKER_HUB, path: name };
}

function isRight(parts: {
  readonly registry: string;
  readonly repository: string;
  readonly tag: string;
  readonly digest: string | undefined;
}): boolean {
  const { registry, repository, tag, digest } = parts;
  const isNamed = REPOSITORY.test(repository) && TAG.test(tag);
  const isThere = HOST.test(registry) && URL.canParse(`https://${registry}/`);
  return isNamed && isThere && (digest === undefined || DIGEST.test(digest));
}

function schemeOf(registry: string): ImageReference["scheme"] {
  const { hostname } = new URL(`https://${registry}/`);
  const isHere = hostname === "localhost" || hostname === "[::1]" || hostname.startsWith("127.");
  return isHere ? "http" : "https";
}

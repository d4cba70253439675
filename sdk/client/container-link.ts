/**
 * Requests from within a container: it has no network, so its runner hands them to the node
 * agent, which sends them on in the name of the container.
 */
import { CONTAINER_KEY } from "../current-input.ts";
import type { HttpAnswer, HttpRequest } from "./http.ts";

/** What a runner offers the SDK in the user's bundle. */
export interface ContainerLink {
  /** Sends one request of the API. Rejects when the agent is gone, or with the signal's reason. */
  request(
    request: {
      readonly method: string;
      readonly path: string;
      readonly contentType?: string | undefined;
      readonly body?: Uint8Array | undefined;
      readonly place?: Uint8Array | undefined;
    },
    signal?: AbortSignal,
  ): Promise<{
    readonly status: number;
    readonly retryAfter?: string | undefined;
    readonly body: Uint8Array;
  }>;
}

/** The way out of this container; undefined where there is none or it is none. */
export function containerLink(): ContainerLink | undefined {
  const container: unknown = Reflect.get(globalThis, CONTAINER_KEY);
  const isLink = typeof container === "object" && container !== null && "request" in container;
  return isLink ? (container as ContainerLink) : undefined;
}

/** One exchange through the link. @throws as `ContainerLink.request`. */
export async function exchangeThrough(
  link: ContainerLink,
  path: string,
  { method, headers, body, place, signal }: HttpRequest,
): Promise<HttpAnswer> {
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const request = { method, path, contentType: headers["content-type"], body: bytes, place };
  const answer = await link.request(request, signal);
  return {
    status: answer.status,
    header: (name) => (name === "retry-after" ? answer.retryAfter : undefined),
    bytes: () => Promise.resolve(answer.body),
    stream: () => once(answer.body),
  };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes);
}

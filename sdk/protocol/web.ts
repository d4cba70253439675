/** Functions that are called by HTTP requests to a URL of their own. */

/** Methods that a web endpoint can be asked with. */
export type HttpMethod = "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS";

/** What a function with a URL says about it, as it travels. */
export interface WebSpec {
  /** What it is asked with; HEAD goes with GET, and OPTIONS always. Absent: all. */
  readonly methods?: readonly HttpMethod[];
  /**
   * Where it is below its app's URL: parts of letters, digits, `-`, `.`, `_` and `~` with `/`
   * between them, or `/` for all that is no other function's. Default: the function's name.
   */
  readonly path?: string;
  /** Only requests with a token of the workspace are let in. Default false. */
  readonly requiresToken?: boolean;
  /**
   * How long a client waits for the head of the response before it is sent to the URL of the
   * result, 1 s to 10 min. Default 150 s.
   */
  readonly answerWithinMs?: number;
  /** It is an HTTP server that listens on this port in its containers, 1 to 65,535. */
  readonly port?: number;
  /**
   * It has no URL of its own: each port of its container has one, which `POST
   * /v1/apps/{app}/tunnels` gives. For sandboxes.
   */
  readonly tunnels?: boolean;
}

/** How long a client waits unless the spec says otherwise. */
export const ANSWER_WITHIN_MS = 150_000;

/** Most ports that are asked for at once. */
export const TUNNELS_MAX = 32;

/** The body of `POST /v1/apps/{app}/tunnels`. */
export interface TunnelRequest {
  /** 1 to 65,535 each; at most `TUNNELS_MAX`. */
  readonly ports: readonly number[];
}

/** Where ports of a sandbox are asked over HTTP. */
export interface TunnelList {
  /** In the order of the request; paths below the server's URL, which nobody can guess. */
  readonly tunnels: readonly { readonly port: number; readonly webPath: string }[];
}

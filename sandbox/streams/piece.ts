/**
 * Byte streams between the server and a container, many over the one channel that a container
 * has: each message carries a piece of one stream.
 *
 *     server                         container
 *       │ ◄──────────── begin ─────────── │   the input that the stream belongs to has begun
 *       │ ── data, data, end ───────────► │   at most a window ahead of what was taken
 *       │ ◄── credit ──────────────────── │   so many bytes more may come
 *       │ ◄── head, data, end ─────────── │
 *       │ ── credit ────────────────────► │
 *       │ ◄────────── reset ────────────► │   either side: nothing more comes, nothing is taken
 *
 * Each direction begins with a credit of `WINDOW_BYTES`, so a stream that nobody reads holds no
 * more than that on any machine that it passes. The node agent passes pieces on as they are.
 */

/** Bytes that one side may send before the other has taken any. */
export const WINDOW_BYTES = 256 * 1024;
/** Largest piece of data: a stream lets others go between its pieces. */
export const PIECE_BYTES_MAX = 64 * 1024;
/** Names and values of headers in the order in which they were sent. */
export type HeaderPairs = readonly (readonly [name: string, value: string])[];

/** One step of a stream; the bytes of `data` are the body of its message. */
export type Piece =
  /** From a container: the input of this stream has begun to run there. */
  | { readonly kind: "begin" }
  /** From a container: the status and headers of an HTTP response, before its body. */
  | { readonly kind: "head"; readonly status: number; readonly headers: HeaderPairs }
  /** From a container: the response took too long for the client; it becomes the call's result. */
  | { readonly kind: "detached" }
  | { readonly kind: "data" }
  /** Nothing more comes from this side. */
  | { readonly kind: "end" }
  /** This side has taken so many bytes more. */
  | { readonly kind: "credit"; readonly bytes: number }
  /** This side has given the stream up. */
  | { readonly kind: "reset"; readonly message: string };

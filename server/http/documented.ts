/** Building blocks of the routes' documentation: bodies, answers, and the problems of each. */
import { z } from "zod";
import { FRAME_MEDIA_TYPE } from "../../sdk/protocol/index.ts";
import { PROBLEM_MEDIA_TYPE } from "./problem.ts";
import { problemSchema } from "./wire-schemas.ts";

type Content = Readonly<Record<string, { readonly schema: z.ZodType }>>;

/** An answer with something in it. */
interface Answer {
  readonly description: string;
  readonly content: Content;
}

/** Problems that every route behind a token can answer with. */
const COMMON_PROBLEMS = [400, 401, 403, 429, 431, 500, 503] as const;

const PROBLEM_DESCRIPTIONS: Readonly<Record<number, string>> = {
  400: "The request is wrong; `detail` names every wrong field.",
  401: "No token, or one that is unknown, expired or revoked.",
  403: "The token has none of the scopes that this needs, or is a node's.",
  404: "There is none, or it is another workspace's.",
  405: "The function does not take this method; `Allow` has those that it takes.",
  409: "It does not fit what is there; `detail` says why.",
  413: "The body or a payload is too large.",
  415: "The body's media type is not taken here.",
  426: "Only a WebSocket upgrade is answered here.",
  429: "Too much was asked; try again after `Retry-After`.",
  431: "The headers or the path are too large.",
  500: "The server failed; its log has the reason under `requestId`.",
  502: "The function broke down, did not start, or gave nothing that can be sent.",
  504: "The function took too long.",
  503: "The server, its store or capacity is away for now; try again after `Retry-After`.",
};

/** The answers of a route: what it gives when all is well, and its problems. */
export function answers(
  good: Readonly<Record<number, Answer | z.ZodType>>,
  ...problems: readonly number[]
): Readonly<Record<number, unknown>> {
  return { ...good, ...problemAnswers([...COMMON_PROBLEMS, ...problems]) };
}

/** The answers of a route that takes no token. */
export function publicAnswers(
  good: Readonly<Record<number, Answer | z.ZodType>>,
  ...problems: readonly number[]
): Readonly<Record<number, unknown>> {
  return { ...good, ...problemAnswers([431, 500, ...problems]) };
}

/** An answer in JSON. */
export function json(schema: z.ZodType, description: string): Answer {
  return { description, content: { "application/json": { schema } } };
}

/** An answer with no body. */
export function nothing(description: string): z.ZodType {
  return z.null().describe(description);
}

/** An answer of another media type. */
export function media(mediaType: string, schema: z.ZodType, description: string): Answer {
  return { description, content: { [mediaType]: { schema } } };
}

/**
 * A body or answer that is one frame: u32 total, u32 header bytes (both little endian), the
 * header as JSON, the payloads one after the other.
 *
 * @param header Name of the header's shape in the document's components.
 */
export function frame(header: string): z.ZodType {
  return binary(
    "One frame: u32 bytes that follow, u32 bytes of the header (little endian), the header as " +
      `UTF-8 JSON (${header}), then the payloads one after the other.`,
    { "x-flotilla-frame-header": { $ref: `#/components/schemas/${header}` } },
  );
}

/** A frame as the content of a request or an answer. */
export function frameContent(header: string): Content {
  return { [FRAME_MEDIA_TYPE]: { schema: frame(header) } };
}

/** Raw bytes. */
export function binary(description: string, more: Readonly<Record<string, unknown>> = {}) {
  return z.unknown().meta({ type: "string", format: "binary", description, ...more });
}

function problemAnswers(statuses: readonly number[]): Readonly<Record<number, Answer>> {
  return Object.fromEntries(
    statuses.map((status) => [
      status,
      media(PROBLEM_MEDIA_TYPE, problemSchema, PROBLEM_DESCRIPTIONS[status] ?? "A problem."),
    ]),
  );
}

/** How fastify checks and writes what the routes' schemas describe. */
import type { FastifySchemaCompiler, FastifySerializerCompiler } from "fastify";
import { validatorCompiler } from "fastify-type-provider-zod";
import { z } from "zod";

/** A body with one schema per media type, as fastify takes it. */
interface BodyByMediaType {
  readonly content: Readonly<Record<string, { readonly schema: z.ZodType }>>;
}

/** Whether a route's body schema is one per media type. */
export function isBodyByMediaType(body: unknown): body is BodyByMediaType {
  return (
    typeof body === "object" && body !== null && "content" in body && !(body instanceof z.ZodType)
  );
}

/**
 * Checks parameters, queries and plain JSON bodies. Bodies with a schema per media type are
 * checked by their handlers, which must tell the types apart anyway.
 */
export const checkBySchema: FastifySchemaCompiler<z.ZodType> = (route) =>
  isForOneMediaType(route) ? (value: unknown) => ({ value }) : validatorCompiler(route);

/** Answers are ours and typed; tests hold them to their schemas, so they are written unread. */
export const writeJson: FastifySerializerCompiler<unknown> = () => (value) => JSON.stringify(value);

function isForOneMediaType(route: object): boolean {
  return "contentType" in route && route.contentType !== undefined;
}

/** The OpenAPI 3.1 document, made from the routes and schemas that answer the requests. */
import swagger, { type SwaggerTransform, type SwaggerTransformObject } from "@fastify/swagger";
import type { FastifyInstance } from "fastify";
import { jsonSchemaTransform, jsonSchemaTransformObject } from "fastify-type-provider-zod";
import { isBodyByMediaType } from "./compilers.ts";

type OpenApiDocument = ReturnType<SwaggerTransformObject>;

const DESCRIPTION = `Calls of functions, and the fleet under them.

Errors are RFC 9457 problem details with a \`code\`, the \`requestId\` and \`retryable\`.
JSON bodies may have 1 MiB, frames and blobs 64 MiB, one payload 16 MiB, one request 2,000 inputs;
no request waits longer than 30 s. A token may send 2,000 requests a second to one server, unless
its operator says otherwise. Lists come in pages of up to 1,000. Payloads are opaque: what a client's
SDK encoded.`;

const TOKEN_DESCRIPTION = `\`Authorization: Bearer fl_…\`. What a route's requirement lists are scopes,
any one of which is enough: \`deploy\` includes \`read\` and \`call\`, \`admin\` includes \`deploy\`,
\`operator\` includes all. The header \`flotilla-workspace\` names the workspace that is meant: the
token's own, which it is anyway, or any for operators; else the answer is 404.`;

/** Collects the routes that are registered after it; the document is \`app.swagger()\`. */
export function collectOpenApi(app: FastifyInstance, version: string): void {
  app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Flotilla",
        version,
        description: DESCRIPTION,
        license: { name: "Apache-2.0", identifier: "Apache-2.0" },
      },
      servers: [{ url: "/" }],
      security: [{ token: [] }],
      components: {
        securitySchemes: {
          token: {
            type: "http",
            scheme: "bearer",
            description: TOKEN_DESCRIPTION,
          },
        },
      },
    },
    exposeHeadRoutes: true,
    transform,
    transformObject: (document) => withoutUnused(jsonSchemaTransformObject(document)),
  });
}

/** What a method that may have a body answers to one that is none of its own. */
const BODY_PROBLEMS: Readonly<Record<number, string>> = {
  413: "The body or a payload is too large.",
  415: "The body's media type is not taken here.",
};
const METHODS_WITHOUT_BODY: ReadonlySet<string> = new Set(["GET", "HEAD"]);

/** Notes on every route with a body, wanted or not, what is answered to a wrong one. */
const transform: SwaggerTransform = (route) => {
  const described = transformBodies(route);
  const method = [route.route.method].flat()[0] ?? "GET";
  if (METHODS_WITHOUT_BODY.has(method)) return described;
  const response = new Map<string, unknown>(Object.entries(described.schema.response ?? {}));
  const problem = response.get("400");
  if (typeof problem !== "object") return described;
  const more = Object.entries(BODY_PROBLEMS).map(([status, description]) => [
    status,
    { ...problem, description },
  ]);
  return {
    ...described,
    schema: {
      ...described.schema,
      response: { ...Object.fromEntries(more), ...Object.fromEntries(response) },
    },
  };
};

/** Also takes bodies with one schema per media type, which the library does not. */
const transformBodies: SwaggerTransform = (route) => {
  const { body } = route.schema;
  if (!isBodyByMediaType(body)) return jsonSchemaTransform(route);
  const { schema, url } = jsonSchemaTransform({
    ...route,
    schema: { ...route.schema, body: undefined },
  });
  const content = Object.entries(body.content).map(([mediaType, { schema: each }]) => {
    const alone = jsonSchemaTransform({ ...route, schema: { body: each } });
    return [mediaType, { schema: alone.schema.body }] as const;
  });
  return { schema: { ...schema, body: { content: Object.fromEntries(content) } }, url };
};

/** The parts of a document that `withoutUnused` looks at. */
interface Described {
  readonly paths?: unknown;
  readonly components?: { readonly schemas?: Readonly<Record<string, unknown>> };
}

/** Drops the shapes that no route mentions: each exists once for requests and once for answers. */
function withoutUnused(document: OpenApiDocument): OpenApiDocument {
  const { paths, components }: Described = document as Described;
  const schemas = components?.schemas ?? {};
  const used = new Set<string>();
  const visit = (part: unknown): void => {
    const text = JSON.stringify(part);
    for (const [, name = ""] of text.matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
      if (used.has(name)) continue;
      used.add(name);
      visit(schemas[name] ?? null);
    }
  };
  visit(paths ?? {});
  const kept = Object.fromEntries(Object.entries(schemas).filter(([name]) => used.has(name)));
  return Object.assign({}, document, { components: { ...components, schemas: kept } });
}

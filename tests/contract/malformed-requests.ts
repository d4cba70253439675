/**
 * Requests that are almost what the document asks for: each is made from the schemas of its
 * operation, and wrong in one place or in many.
 */
import fc from "fast-check";
import { encodeFrame } from "../../sdk/protocol/index.ts";
import type { ApiDocument, Operation, Parameter, Schema } from "./document.ts";
import {
  createValues,
  evilText,
  evilValue,
  jsonBytes,
  jsonText,
  type MakeValue,
} from "./schema-values.ts";

/** One request as it goes over the wire. */
export interface MalformedRequest {
  readonly operation: Operation;
  readonly method: string;
  /** With its query; every byte of it is allowed in a request line. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
}

export interface RequestSources {
  /** A token that is let in. */
  readonly token: string;
  /** What exists, for a parameter of an operation; empty where nothing is known. */
  readonly knownValues: (operationId: string, parameterName: string) => readonly string[];
}

const JSON_TYPE = "application/json";
/** What is asked of it rightly takes minutes, so it is only asked wrongly. */
const BUILD = "buildImage";

const mediaTypes = fc.constantFrom(
  ...["application/json", "application/vnd.flotilla.frame", "application/octet-stream"],
  ...["text/plain", "application/json; charset=utf-7", "application/xml", "*/*", "json", ";"],
  "multipart/form-data; boundary=x",
);

/** Requests of every operation of the document, evenly. */
export function malformedRequests(
  document: ApiDocument,
  operations: readonly Operation[],
  sources: RequestSources,
): fc.Arbitrary<MalformedRequest> {
  const make = createValues(document);
  return fc.oneof(...operations.map((operation) => requestsOf(operation, sources, make)));
}

function requestsOf(
  operation: Operation,
  sources: RequestSources,
  make: MakeValue,
): fc.Arbitrary<MalformedRequest> {
  return fc
    .record({
      path: pathOf(operation, sources, make),
      query: queryOf(operation, make),
      headers: headersOf(operation, sources, make),
      content: contentOf(operation, make),
    })
    .map(({ path, query, headers, content }) => ({
      operation,
      method: operation.method,
      path: query === "" ? path : `${path}?${query}`,
      headers: { ...headers, ...content.headers },
      body: content.body,
    }));
}

function pathOf(operation: Operation, { knownValues }: RequestSources, make: MakeValue) {
  const named = operation.parameters.filter((each) => each.in === "path");
  const values = named.map((parameter) => {
    const good = knownValues(operation.operationId, parameter.name);
    return good.length === 0
      ? textOf(parameter, make)
      : fc.oneof(fc.constantFrom(...good), textOf(parameter, make));
  });
  return fc.tuple(fc.boolean(), ...values).map(([isEscaped, ...texts]) =>
    named.reduce((path, { name }, index) => {
      const text = texts[index] ?? "";
      return path.replace(`{${name}}`, () => (isEscaped ? escapeText(text) : rawText(text)));
    }, operation.path),
  );
}

function queryOf(operation: Operation, make: MakeValue): fc.Arbitrary<string> {
  const named = operation.parameters.filter((each) => each.in === "query");
  const pairOf = (parameter: Parameter) =>
    textOf(parameter, make).map((text) => `${parameter.name}=${escapeText(text)}`);
  const pair = fc.oneof(
    ...named.map(pairOf),
    evilText.map((text) => `${escapeText(text)}=1`),
    evilText.map(rawText),
  );
  return fc.array(pair, { maxLength: 4 }).map((pairs) => pairs.join("&"));
}

function headersOf(operation: Operation, { token }: RequestSources, make: MakeValue) {
  const named = operation.parameters.filter((each) => each.in === "header");
  const authorization = fc.oneof(
    { weight: 30, arbitrary: fc.constant(`Bearer ${token}`) },
    {
      weight: 2,
      arbitrary: fc.oneof(
        evilText.map((text) => headerText(text)),
        evilText.map((text) => `Bearer ${headerText(text)}`),
        fc.constantFrom("Basic YTpi", "Bearer", `bearer  ${token}`, token.slice(0, -1)),
      ),
    },
  );
  const more = fc.tuple(
    ...named.map((parameter) =>
      fc.option(textOf(parameter, make).map(headerText), { nil: undefined }),
    ),
  );
  return fc.tuple(authorization, more).map(([text, values]) => ({
    authorization: text,
    ...Object.fromEntries(
      named.flatMap(({ name }, index) => {
        const value = values[index];
        return value === undefined ? [] : [[name, value]];
      }),
    ),
  }));
}

interface RequestContent {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
}

function contentOf(operation: Operation, make: MakeValue): fc.Arbitrary<RequestContent> {
  if (operation.method === "GET" || operation.method === "HEAD") {
    return fc.constant({ headers: {}, body: undefined });
  }
  const bodies = operation.operationId === BUILD ? [] : [...operation.bodies];
  const good = bodies.map(([type, schema]) =>
    bodyOf(type, schema, make).map((body) => ({ type, body })),
  );
  const stray = fc.record({
    type: mediaTypes,
    body: fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc
        .constantFrom("{", "[", "nul", '{"__proto__":{}}', "1e999", '"\\ud800"', "")
        .map((text) => Buffer.from(text)),
      fc.nat({ max: 20_000 }).map((depth) => Buffer.from("[".repeat(depth) + "]".repeat(depth))),
      evilValue.map((value) => jsonBytes(value)),
    ),
  });
  const empty: fc.Arbitrary<RequestContent> = fc.constant({ headers: {}, body: undefined });
  const sent = fc
    .oneof(...good.map((arbitrary) => ({ weight: 6, arbitrary })), { weight: 1, arbitrary: stray })
    .map(({ type, body }) => ({ headers: { "content-type": type }, body }));
  return fc.oneof({ weight: 10, arbitrary: sent }, { weight: 1, arbitrary: empty });
}

/** A body of this media type that follows its schema but for some places. */
function bodyOf(type: string, schema: Schema, make: MakeValue): fc.Arbitrary<Uint8Array> {
  const header = schema["x-flotilla-frame-header"];
  if (header !== undefined) {
    const payloads = fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 4 });
    return fc
      .tuple(make(header), payloads, fc.integer({ min: -6, max: 20 }))
      .map(([value, parts, cut]) => frameBytes(value, parts, cut));
  }
  if (type === JSON_TYPE) return make(schema).map(jsonBytes);
  return fc.uint8Array({ maxLength: 2_000 });
}

/** A frame, some of them with their last bytes cut off or with more than they should have. */
function frameBytes(value: unknown, payloads: readonly Uint8Array[], cut: number): Uint8Array {
  let frame: Uint8Array;
  try {
    frame = encodeFrame(JSON.parse(jsonText(value)), payloads);
  } catch {
    // A header that no client could write: its bytes go out as they are.
    frame = jsonBytes(value);
  }
  if (cut < 0) return Buffer.concat([frame, new Uint8Array(-cut)]);
  return cut > 15 ? frame.subarray(0, Math.max(0, frame.length - cut)) : frame;
}

function textOf(parameter: Parameter, make: MakeValue): fc.Arbitrary<string> {
  if (parameter.name === "waitMs") {
    return fc.constantFrom("0", "5", "-1", "1e999", "NaN", "", "five", "30001");
  }
  return fc.oneof(
    { weight: 3, arbitrary: make(parameter.schema).map(textOfValue) },
    { weight: 2, arbitrary: evilText },
  );
}

function textOfValue(value: unknown): string {
  return typeof value === "string" ? value : jsonText(value);
}

function escapeText(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

/** The text with nothing escaped but what cannot be in a request line. */
function rawText(text: string): string {
  return text.toWellFormed().replaceAll(/[^\u0021-\u007e]/gu, (one) => escapeText(one));
}

/** What of a text may be in a header. */
function headerText(text: string): string {
  return text.replaceAll(/[^\u0020-\u007e]/gu, "?");
}

/** Every list of the API comes in pages. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { createFakeClient, refused, type FakeClient } from "./fake-client.ts";

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
  readonly responses: Readonly<Record<string, unknown>>;
}

/** Lists that have no cursor, and why. */
const OTHERS: Readonly<Record<string, string>> = {
  listAppVersions: "goes on before a version, which the client knows",
  listPoolEvents: "goes on before a sequence number, which the client knows",
  listClouds: "as many as the platform's settings name",
};

let client: FakeClient;

beforeEach(async () => {
  client = await createFakeClient();
});
afterEach(async () => {
  await client.app.close();
});

test("every list of the document has a cursor and a limit, and says where it goes on", async () => {
  const document = (await client.send({ url: "/openapi.json" })).json<{
    readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
    readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
  }>();
  const gets = Object.values(document.paths).flatMap(({ get }) => get ?? []);
  const lists = gets.filter(({ operationId }) => operationId.startsWith("list"));
  const without: string[] = [];
  for (const { operationId, parameters = [], responses } of lists) {
    const names = parameters.flatMap((each) => (each.in === "query" ? [each.name] : []));
    const answer = JSON.stringify(responses["200"]);
    const named = /#\/components\/schemas\/(\w+)/.exec(answer)?.[1] ?? "";
    const shape = answer + JSON.stringify(document.components.schemas[named] ?? "");
    const isPaged =
      names.includes("cursor") && names.includes("limit") && shape.includes('"nextCursor"');
    if (!isPaged) without.push(operationId);
  }
  expect(without.sort()).toEqual(Object.keys(OTHERS).sort());
  expect(lists.length).toBeGreaterThan(without.length + 9);
});

async function make(url: string, payload: object): Promise<void> {
  const answer = await client.send({ method: "POST", url, payload });
  expect(answer.statusCode).toBeLessThan(300);
}

/** The items of a list under `member`, page by page. */
async function walk(url: string, member: string, limit: number): Promise<readonly unknown[]> {
  const items: unknown[] = [];
  let cursor = "";
  for (;;) {
    const asked = `${url}?limit=${limit}${cursor === "" ? "" : `&cursor=${cursor}`}`;
    const answer = await client.send({ url: asked });
    expect(answer.statusCode).toBe(200);
    const page = answer.json<Readonly<Record<string, unknown>>>();
    const some = page[member];
    if (!Array.isArray(some)) throw new Error(`${asked} gave no ${member}`);
    expect(some.length).toBeGreaterThan(0);
    expect(some.length).toBeLessThanOrEqual(limit);
    items.push(...(some as unknown[]));
    if (typeof page["nextCursor"] !== "string") return items;
    cursor = page["nextCursor"];
  }
}

test("pages of workspaces, tokens and secrets are the whole list in its order", async () => {
  for (const name of ["delta", "alpha", "charlie", "bravo"]) {
    await make("/v1/workspaces", { name });
    await make("/v1/tokens", { name, scopes: ["read"] });
    await make("/v1/secrets", { name: `${name}-keys`, values: { KEY: "v" } });
  }
  for (const [url, member] of [
    ["/v1/workspaces", "workspaces"],
    ["/v1/tokens", "tokens"],
    ["/v1/secrets", "secrets"],
  ] as const) {
    const all = await walk(url, member, 1_000);
    expect(all.length).toBeGreaterThanOrEqual(4);
    for (const limit of [1, 2, 3]) expect(await walk(url, member, limit)).toEqual(all);
  }
  const tokens = (await walk("/v1/tokens", "tokens", 2)) as readonly { createdAtMs: number }[];
  const times = tokens.map(({ createdAtMs }) => createdAtMs);
  expect(times).toEqual(times.toSorted((one, other) => one - other));
});

test.each(["/v1/workspaces", "/v1/tokens", "/v1/secrets", "/v1/schedules", "/v1/images"])(
  "%s refuses a cursor that no page gave, and a page of no size",
  async (url) => {
    for (const query of ["cursor=a", "cursor=!", "cursor=", "limit=0", "limit=1001", "page=2"]) {
      refused(await client.send({ url: `${url}?${query}` }), 400, "invalid_request");
    }
  },
);

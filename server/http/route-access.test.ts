/** Every route with every kind of token, against the table and against what the table says. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CONTAINER_HEADER } from "../../sandbox/index.ts";
import { TOKEN_SCOPES, WORKSPACE_HEADER, type TokenScope } from "../../sdk/protocol/index.ts";
import { createFakeClient, problemIn, refused, type FakeClient } from "./fake-client.ts";
import { FAKE_CONTAINER } from "./fake-services.ts";
import { ROUTE_ACCESS, type RouteAccess } from "./route-access.ts";

type InjectMethod = "DELETE" | "GET" | "HEAD" | "PATCH" | "POST" | "PUT";

/** Written out, so that a mistake in `auth/scopes.ts` shows. */
const INCLUDED: Readonly<Record<TokenScope, string>> = {
  read: "read",
  call: "call",
  deploy: "read call deploy",
  admin: "read call deploy admin",
  operator: "read call deploy admin operator",
};

let client: FakeClient;
let tokens: ReadonlyMap<readonly TokenScope[], string>;

beforeAll(async () => {
  client = await createFakeClient();
  const sets: readonly (readonly TokenScope[])[] = [
    [],
    ...TOKEN_SCOPES.map((scope) => [scope]),
    ["read", "call"],
  ];
  const made = sets.map(async (set) => [set, await client.platform.tokenWith(...set)] as const);
  tokens = new Map(await Promise.all(made));
});
afterAll(async () => client.app.close());

/** A path as the document writes it. */
const documentedAs = (path: string): string =>
  path.replaceAll(/:(\w+)/g, "{$1}").replace("*", "{*}");

const ROUTES = Object.entries(ROUTE_ACCESS).map(([route, access]) => {
  const [method = "", path = ""] = route.split(" ");
  const url = path.replaceAll(/:\w+/g, "nothing-of-this-name");
  return { route, method: method as InjectMethod, url, access };
});

/** The status of an answer, and of a refusal whether it is one of the token. */
const ask = async (
  { method, url }: (typeof ROUTES)[number],
  headers: Readonly<Record<string, string>>,
): Promise<"401" | "403" | "in"> => {
  const answer = await client.app.inject({ method, url, headers });
  const { statusCode } = answer;
  if (statusCode !== 401 && statusCode !== 403) return "in";
  if (method !== "HEAD") expect(problemIn(answer).code).toBe("auth_failed");
  return statusCode === 401 ? "401" : "403";
};

function isIn(scopes: RouteAccess["scopes"], held: readonly TokenScope[]): boolean {
  if (scopes === "any" || scopes === "public") return true;
  const all = held.flatMap((scope) => INCLUDED[scope].split(" "));
  return scopes.some((scope) => all.includes(scope));
}

describe.each(ROUTES)("$route", (route) => {
  const { access } = route;
  const isPublic = access.scopes === "public";

  test("takes tokens with one of its scopes and no others", async () => {
    for (const [held, token] of tokens) {
      const wanted = isIn(access.scopes, held) ? "in" : "403";
      const got = await ask(route, { authorization: `Bearer ${token}` });
      expect(isPublic ? "in" : got, held.join()).toBe(wanted);
    }
  });

  test("takes nobody without a token, nor with one that is none", async () => {
    if (route.url.startsWith("/v1/agent/files")) return;
    for (const authorization of ["", "Bearer x", `Bearer fl_${"a".repeat(52)}`]) {
      expect(await ask(route, { authorization })).toBe(isPublic ? "in" : "401");
    }
  });

  test("takes agents where it says, for their own containers where it says", async () => {
    if (isPublic) return;
    const { agentToken, joinToken } = client.platform;
    const authorization = `Bearer ${agentToken}`;
    const asNode = await ask(route, { authorization });
    const own = await ask(route, { authorization, [CONTAINER_HEADER]: FAKE_CONTAINER });
    const others = await ask(route, { authorization, [CONTAINER_HEADER]: "co_2" });
    const wanted = {
      "as-node": ["in", "in", "in"],
      "as-container": ["403", "in", "403"],
      none: ["403", "403", "403"],
    };
    expect([asNode, own, others]).toEqual(wanted[access.agents ?? "none"]);
    expect(await ask(route, { authorization: `Bearer ${joinToken}` })).toBe("403");
  });
});

test("the document says of each route which scopes are enough", async () => {
  const { paths } = (await client.send({ url: "/openapi.json" })).json<{
    readonly paths: Readonly<Record<string, Readonly<Record<string, { security?: unknown }>>>>;
  }>();
  for (const [route, { scopes }] of Object.entries(ROUTE_ACCESS)) {
    const [method = "", path = ""] = route.split(" ");
    const { security } = paths[documentedAs(path)]?.[method.toLowerCase()] ?? {};
    const each = scopes === "any" ? [[]] : scopes === "public" ? [] : scopes.map((one) => [one]);
    expect(security, route).toEqual(each.map((token) => ({ token })));
  }
});

describe("the workspace that a request names", () => {
  const ask = async (workspace: string, token: string) =>
    client.send({ url: "/v1/tokens", headers: { [WORKSPACE_HEADER]: workspace } }, token);
  const namesIn = (answer: Awaited<ReturnType<typeof ask>>): number =>
    answer.json<{ tokens: unknown[] }>().tokens.length;

  test("is its own, or any for operators", async () => {
    const { strangerToken, userToken } = client.platform;
    const own = await ask("other", strangerToken);
    expect(namesIn(own)).toBe(1);
    const operators = await ask("other", userToken);
    expect(operators.json()).toEqual(own.json());
    expect(namesIn(await ask("main", userToken))).toBeGreaterThan(1);
  });

  test("is not there when it is another's, like one that does not exist", async () => {
    const { strangerToken } = client.platform;
    const answers = await Promise.all(
      ["main", "default", "none", "a".repeat(5_000), "ws_1", "__proto__"].map(async (name) => {
        const { detail } = refused(await ask(name, strangerToken), 404, "not_found");
        return detail.replace(name.slice(0, 100), "NAME");
      }),
    );
    expect(new Set(answers).size).toBe(1);
  });
});

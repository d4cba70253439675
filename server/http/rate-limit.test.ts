import { expect, test } from "vitest";
import { createFakePlatform } from "./fake-services.ts";
import { buildHttpServer } from "./server.ts";
import { problemSchema } from "./wire-schemas.ts";

const LIMIT = 5;

/** Statuses of `count` requests, one after the other, each with its `Retry-After`. */
async function statusesOf(count: number, tokens: readonly string[], url = "/v1/apps") {
  const { options, ...platform } = await createFakePlatform();
  const app = buildHttpServer({ ...options, requestsPerSecondMax: LIMIT });
  const known: Readonly<Record<string, string>> = {
    user: platform.userToken,
    stranger: platform.strangerToken,
  };
  try {
    const answers = [];
    for (let index = 0; index < count; index += 1) {
      const token = tokens[index % tokens.length] ?? "";
      const authorization = `Bearer ${known[token] ?? token}`;
      const answer = await app.inject({ url, headers: { authorization } });
      answers.push({ status: answer.statusCode, after: answer.headers["retry-after"], answer });
    }
    return answers;
  } finally {
    await app.close();
  }
}

const good = (statuses: readonly { readonly status: number }[]): number =>
  statuses.filter(({ status }) => status === 200).length;

test("what a token sends beyond its limit is refused, with when to try again", async () => {
  const answers = await statusesOf(20, ["user"]);
  expect(answers.slice(0, LIMIT).map(({ status }) => status)).toEqual(
    Array.from({ length: LIMIT }, () => 200),
  );
  const refused = answers.filter(({ status }) => status !== 200);
  expect(new Set(refused.map(({ status, after }) => `${status} ${after}`))).toEqual(
    new Set(["429 1"]),
  );
  const problem = problemSchema.parse(refused[0]?.answer.json());
  expect(problem).toMatchObject({ code: "rate_limited", retryable: true });
  expect(problem.detail).toContain("5 requests a second");
});

test("one token's requests are not counted against another's", async () => {
  expect(good(await statusesOf(2 * LIMIT, ["user", "stranger"]))).toBe(2 * LIMIT);
});

test("a request without a good token is told so, whatever the limit", async () => {
  const answers = await statusesOf(20, ["fl_unknown"]);
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401]));
});

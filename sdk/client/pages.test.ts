import { expect, test } from "vitest";
import type { ApiRequest } from "./transport.ts";
import { allPages } from "./pages.ts";

interface Letters {
  readonly letters: readonly string[];
  readonly nextCursor?: string;
}

test("a list is asked for page by page until one is the last", async () => {
  const pages: Record<string, Letters> = {
    "": { letters: ["a", "b"], nextCursor: "Yg" },
    Yg: { letters: [], nextCursor: "Yw" },
    Yw: { letters: ["c"] },
  };
  const asked: string[] = [];
  const json = <Answer>({ path }: ApiRequest): Promise<Answer> => {
    asked.push(path);
    const cursor = new URL(path, "http://server").searchParams.get("cursor") ?? "";
    return Promise.resolve(pages[cursor] as Answer);
  };
  const found = await allPages<Letters>({ json }, "/v1/letters", { app: "a&b" });
  expect(found.flatMap(({ letters }) => letters)).toEqual(["a", "b", "c"]);
  expect(asked).toEqual([
    "/v1/letters?app=a%26b&limit=1000",
    "/v1/letters?app=a%26b&limit=1000&cursor=Yg",
    "/v1/letters?app=a%26b&limit=1000&cursor=Yw",
  ]);
});

import { describe, expect, test } from "vitest";
import type { StoredDeployment } from "../store/record-store.ts";
import { findByPath, findWebApp, hasSharedPath, webPathOf } from "./web-paths.ts";
import { webSpecSchema } from "./web-schema.ts";

const named = (name: string, path?: string) => ({
  name,
  spec: { web: path === undefined ? {} : { path } },
});
const OWNER = { workspaceId: "main", app: "site", mode: "deployed" } as const;

describe("the path of a function", () => {
  test("is its name, what it says, or the app's own", () => {
    expect(webPathOf(OWNER, named("greet"))).toBe("/web/main/site/greet");
    expect(webPathOf(OWNER, named("greet", "v1/hi"))).toBe("/web/main/site/v1/hi");
    expect(webPathOf(OWNER, named("greet", "/"))).toBe("/web/main/site/");
    expect(webPathOf({ ...OWNER, mode: "ephemeral" }, named("greet"))).toBe(
      "/web/main/site~dev/greet",
    );
  });

  test("is none for functions without a URL and for variants", () => {
    expect(webPathOf(OWNER, { name: "plain", spec: {} })).toBeUndefined();
    expect(webPathOf(OWNER, { ...named("greet"), variant: {} })).toBeUndefined();
  });

  test("may not be another's too", () => {
    expect(hasSharedPath([named("a"), named("b", "a")])).toBe(true);
    expect(hasSharedPath([named("a", "/"), named("b", "/")])).toBe(true);
    expect(hasSharedPath([named("a"), { name: "a", spec: {} }, named("b")])).toBe(false);
  });
});

describe("the function that a path means", () => {
  const functions = [named("all", "/"), named("v1", "v1"), named("deep", "v1/images")];
  const found = (rest: string) => findByPath(functions, rest)?.found.name;

  test.each([
    ["/v1", "v1"],
    ["/v1/", "v1"],
    ["/v1/images", "deep"],
    ["/v1/images/7", "deep"],
    ["/v1/imagesx", "v1"],
    ["/v1x", "all"],
    ["/", "all"],
    ["", "all"],
  ])("%s is of %s", (rest, name) => {
    expect(found(rest)).toBe(name);
  });

  test("is none where no function is", () => {
    expect(findByPath([named("a")], "/b")).toBeUndefined();
    expect(findByPath([{ ...named("a"), variant: {} }], "/a")).toBeUndefined();
  });
});

test("an app's name means its running version, with ~dev the newest ephemeral one", () => {
  const deployments = [
    { appId: "3", app: "site", mode: "ephemeral", state: "running" },
    { appId: "2", app: "site", mode: "deployed", state: "running" },
    { appId: "1", app: "site", mode: "ephemeral", state: "running" },
    { appId: "0", app: "old", mode: "deployed", state: "stopped" },
  ] as unknown as readonly StoredDeployment[];
  expect(findWebApp(deployments, "site")?.appId).toBe("2");
  expect(findWebApp(deployments, "site~dev")?.appId).toBe("3");
  expect(findWebApp(deployments, "old")).toBeUndefined();
  expect(findWebApp(deployments, "old~dev")).toBeUndefined();
});

test.each([
  { path: "" },
  { path: "/a" },
  { path: "a/" },
  { path: "a//b" },
  { path: "a/../b" },
  { path: "." },
  { path: "a b" },
  { path: "a?b" },
  { path: "a".repeat(257) },
  { methods: [] },
  { methods: ["TRACE"] },
  { answerWithinMs: 999 },
  { answerWithinMs: 600_001 },
  { port: 0 },
  { port: 65_536 },
  { requiresToken: "yes" },
  { other: 1 },
])("a URL cannot be described by %j", (web) => {
  expect(webSpecSchema.safeParse(web).success).toBe(false);
});

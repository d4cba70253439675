import { expect, test } from "vitest";
import type { AppVersion } from "../protocol/index.ts";
import { historyTable } from "./app-versions.ts";

const version = (changed: Partial<AppVersion>): AppVersion => ({
  version: 1,
  appId: "ap_1",
  state: "stopped",
  createdAtMs: 0,
  codeSha256: "a".repeat(64),
  strategy: "rolling",
  functions: ["price", "stock"],
  ...changed,
});

const lines = (...versions: AppVersion[]): readonly string[] =>
  historyTable({ app: "shop", versions }, 30_000)
    .split("\n")
    .map((line) => line.trimEnd().replaceAll(/ {2,}/g, " | "));

test("a history says of each version when, by whom and what changed", () => {
  const changes = { code: true, added: ["sell"], removed: ["stock"], changed: ["price"] };
  const none = { code: false, added: [], removed: [], changed: [] };
  expect(
    lines(
      version({ version: 4, state: "running", strategy: "recreate", changes, rollbackOf: 2 }),
      version({ version: 3, state: "finishing", changes: none, deployedBy: { tokenId: "to_1" } }),
      version({ deployedBy: { tokenId: "to_2", name: "ci\u001b[31m" } }),
    ),
  ).toEqual([
    "VERSION | STATE | AGE | BY | STRATEGY | CHANGES",
    "4 | running | 30 s | - | recreate | as version 2; code; added sell; removed stock; spec of price",
    "3 | finishing | 30 s | to_1 | rolling | nothing",
    "1 | stopped | 30 s | ci | rolling | first: price, stock",
  ]);
});

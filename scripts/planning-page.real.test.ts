import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "./steps.ts";

test("the planning page shows what its commands print; refresh it with scripts/refresh-planning-page.ts", () => {
  const script = join(ROOT, "scripts/refresh-planning-page.ts");
  const { status, stderr } = spawnSync(process.execPath, [script, "--check"], { encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
});

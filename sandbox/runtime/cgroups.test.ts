import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { missingControllers } from "./cgroups.ts";

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "flotilla-cgroups-"));
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

test("a host without control groups lacks all that limits need", () => {
  expect(missingControllers(join(root, "none"))).toEqual(["cpu", "memory", "pids"]);
  expect(missingControllers(root)).toEqual(["cpu", "memory", "pids"]);
});

test("in version 1 each controller is a hierarchy of its own", () => {
  for (const controller of ["cpu", "memory", "freezer"]) mkdirSync(join(root, controller));
  expect(missingControllers(root)).toEqual(["pids"]);
  mkdirSync(join(root, "pids"));
  expect(missingControllers(root)).toEqual([]);
});

test("in version 2 the root names its controllers", () => {
  writeFileSync(join(root, "cgroup.controllers"), "cpuset cpu io memory\n");
  expect(missingControllers(root)).toEqual(["pids"]);
  writeFileSync(join(root, "cgroup.controllers"), "cpuset cpu io memory pids\n");
  expect(missingControllers(root)).toEqual([]);
});

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { lacksMemory, missingControllers } from "./cgroups.ts";

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

test("a group lacked memory whose limit was reached, or in which the kernel ended something for it", () => {
  const lacks = (): boolean => lacksMemory("/flotilla/co_1", 1_000, root);
  const write = (folder: string, name: string, text: string): void => {
    mkdirSync(join(root, folder), { recursive: true });
    writeFileSync(join(root, folder, name), text);
  };
  expect(lacks()).toBe(false);
  write("memory/flotilla/co_1", "memory.max_usage_in_bytes", "999\n");
  write("cpu/flotilla/co_1", "cpu.shares", "2\n");
  expect(lacks()).toBe(false);
  write("memory/flotilla/co_1", "memory.max_usage_in_bytes", "1000\n");
  expect(lacks()).toBe(true);
  rmSync(join(root, "memory"), { recursive: true });
  write("flotilla/co_1", "memory.events", "low 0\nmax 12\noom 0\noom_kill 0\n");
  expect(lacks()).toBe(false);
  write("flotilla/co_1", "memory.events", "low 0\nmax 12\noom 1\noom_kill 1\noom_group_kill 0\n");
  expect(lacks()).toBe(true);
});

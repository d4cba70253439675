/** Sandboxes with a proxy of their own, whichever way they are made. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FakeClock, settled } from "../fake/clock.ts";
import { FakeRuntime, FakeSandbox } from "../fake/runtime.ts";
import type { RunningSandbox, Runtime, SandboxSpec } from "../runtime/runtime.ts";
import { withEgress } from "./with-egress.ts";

const RESOURCES = { gpuCount: 0, cpuMilli: 125, memoryMiB: 256 };
const CLOSED: SandboxSpec = { containerId: "warm_1", resources: RESOURCES, env: {} };
const WANTED: SandboxSpec = { ...CLOSED, allowHosts: ["a.example"] };

let dir: string;
let begun: string[];
let specs: SandboxSpec[];

beforeEach(() => {
  [dir, begun, specs] = [mkdtempSync(join(tmpdir(), "fl-egress-")), [], []];
});

afterEach(() => {
  rmSync(dir, { recursive: true });
});

/** With a runtime that can create, or cannot. */
function egressOf(canCreate: boolean): Runtime {
  const create = (spec: SandboxSpec): Promise<RunningSandbox> => {
    specs.push(spec);
    const sandbox: FakeSandbox & RunningSandbox = new FakeSandbox(spec);
    sandbox.becomes = (containerId) => begun.push(containerId);
    return Promise.resolve(sandbox);
  };
  const runtime = new FakeRuntime();
  const inner: Runtime = {
    isolation: runtime.isolation,
    images: runtime.images,
    start: (spec) => runtime.start(spec),
    ...(canCreate ? { create } : {}),
  };
  return withEgress(inner, { dir, clock: new FakeClock(), onAudit: () => undefined });
}

test("a sandbox that was created has its proxy before its runner begins", async () => {
  const sandbox = await egressOf(true).create?.(WANTED);
  expect(specs[0]?.egressDir).toBe(join(dir, "warm_1"));
  expect(existsSync(join(dir, "warm_1"))).toBe(true);
  expect(begun).toEqual([]);
  sandbox?.becomes?.("co_1");
  expect(begun).toEqual(["co_1"]);
  sandbox?.kill();
  await sandbox?.exited;
  await settled();
});

test("one that may reach nothing has none, and begins all the same", async () => {
  const sandbox = await egressOf(true).create?.(CLOSED);
  expect(specs[0]?.egressDir).toBeUndefined();
  sandbox?.becomes?.("co_1");
  expect(begun).toEqual(["co_1"]);
});

test("a runtime that cannot create cannot do so with proxies either", () => {
  expect(egressOf(false).create).toBeUndefined();
});

import { expect, test } from "vitest";
import { needsOf, normaliseSpec } from "../apps/normalise-spec.ts";
import type { FunctionSpec } from "../../sdk/protocol/index.ts";
import { snapshotIdOf } from "./snapshot-id.ts";

const idOf = (
  given: FunctionSpec,
  changes: Readonly<Record<string, string>> = {},
  params = Uint8Array.of(),
) => {
  const spec = normaliseSpec({ enableMemorySnapshot: true, ...given });
  const names = { workspaceId: "ws_1", app: "numbers", name: "double", codeSha256: "c0de" };
  return snapshotIdOf({ ...names, ...changes, needs: needsOf(spec), spec, params });
};

test("a function that does not ask for snapshots has none", () => {
  expect(idOf({ enableMemorySnapshot: false })).toBeUndefined();
});

test("equal functions share snapshots, whatever their environment and scaling are", () => {
  const other = { env: { KEY: "secret" }, minContainers: 3, timeoutMs: 5_000 };
  expect(idOf(other)).toBe(idOf({}));
  expect(idOf({})).toMatch(/^[0-9a-f]{64}$/);
});

test("another workspace, app, name, code, size or parameter is another snapshot", () => {
  const ids = [
    idOf({}),
    idOf({}, { workspaceId: "ws_2" }),
    idOf({}, { app: "other" }),
    idOf({}, { name: "halve" }),
    idOf({}, { codeSha256: "c0df" }),
    idOf({ memoryMiB: 512 }),
    idOf({ cpu: 2 }),
    idOf({ maxConcurrentInputs: 2 }),
    idOf({}, {}, Uint8Array.of(1)),
    idOf({}, {}, Uint8Array.of(2)),
  ];
  expect(new Set(ids).size).toBe(ids.length);
});

test("a function with a GPU has none: what is on the card is not in an image of memory", () => {
  expect(idOf({ gpu: "T4" })).toBeUndefined();
});

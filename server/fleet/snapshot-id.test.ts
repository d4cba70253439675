import { expect, test } from "vitest";
import { needsOf, normaliseSpec } from "../apps/normalise-spec.ts";
import type { FunctionSpec } from "../../sdk/protocol/index.ts";
import type { StoredImage } from "../store/record-store.ts";
import { loadEnvOf, snapshotIdOf } from "./snapshot-id.ts";

const idOf = (
  given: FunctionSpec,
  changes: Readonly<Record<string, string>> = {},
  params = Uint8Array.of(),
  image?: StoredImage,
) => {
  const spec = normaliseSpec({ enableMemorySnapshot: true, ...given });
  const names = { workspaceId: "ws_1", app: "numbers", name: "double", codeSha256: "c0de" };
  return snapshotIdOf({ ...names, ...changes, needs: needsOf(spec), spec, params, image });
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
    idOf({ cpu: { request: 2, limit: 4 } }),
    idOf({ memoryMiB: { request: 512, limit: 1_024 } }),
    idOf({ maxConcurrentInputs: 2 }),
    idOf({}, {}, Uint8Array.of(1)),
    idOf({}, {}, Uint8Array.of(2)),
  ];
  expect(new Set(ids).size).toBe(ids.length);
});

test("a function with GPUs has one, which is not that without or with another number", () => {
  const ids = [idOf({}), idOf({ gpu: "T4" }), idOf({ gpu: "T4:2" })];
  expect(new Set(ids).size).toBe(3);
  expect(ids).not.toContain(undefined);
});

const PYTHON = { codeSha256: "c0de", module: "model", handler: "predict" };
const IMAGE: StoredImage = {
  imageId: "im_1",
  workspaceId: "ws_1",
  steps: [],
  layerKeys: [],
  env: { MODE: "fast" },
  workdir: "/",
  byteCount: 0,
  createdAtMs: 0,
  usedAtMs: 0,
};

test("functions of Python, with an image or with hosts to reach have some too", () => {
  expect(idOf({ python: PYTHON })).toMatch(/^[0-9a-f]{64}$/);
  expect(idOf({ image: "im_1" })).toMatch(/^[0-9a-f]{64}$/);
  expect(idOf({ network: { allowHosts: ["example.com"] } })).toMatch(/^[0-9a-f]{64}$/);
});

test("another function of the same Python code, or what it is loaded with, is another one", () => {
  const python = (changes: object, env = {}, image?: StoredImage) =>
    idOf({ python: { ...PYTHON, ...changes }, env }, {}, undefined, image);
  const ids = [
    python({}),
    python({ handler: "Model.predict" }),
    python({ workers: "processes" }),
    python({}, { PYTHONPATH: "/opt/lib" }),
    python({}, {}, IMAGE),
    python({}, {}, { ...IMAGE, env: { MODE: "slow" } }),
  ];
  expect(new Set(ids).size).toBe(ids.length);
  expect(python({}, { KEY: "secret" })).toBe(python({}));
});

test("code is loaded with its image's variables and where its modules are, and with no others", () => {
  const env = { PYTHONPATH: "/opt/lib", MODE: "own", KEY: "secret" };
  const spec = (given: FunctionSpec) => normaliseSpec({ env, ...given });
  expect(loadEnvOf({ spec: spec({}), image: IMAGE })).toEqual({ MODE: "fast" });
  expect(loadEnvOf({ spec: spec({ python: PYTHON }), image: undefined })).toEqual({
    PYTHONPATH: "/opt/lib",
  });
});

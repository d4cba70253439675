import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readAgentConfig } from "./config.ts";

const LEAST = { serverUrl: "http://127.0.0.1:1", token: "fl_x", nodeId: "no_1" };

let dir: string;
let path: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "flotilla-config-"));
  path = join(dir, "agent.json");
});

afterEach(async () => {
  await rm(dir, { recursive: true });
});

const refuses = async (text: string, message: RegExp): Promise<void> => {
  await writeFile(path, text);
  await expect(readAgentConfig(path)).rejects.toMatchObject({
    name: "PlatformError",
    code: "invalid_request",
    retryable: false,
    message: expect.stringMatching(message) as string,
  });
};

test("the least that must be told is completed with isolation and a folder", async () => {
  await writeFile(path, JSON.stringify(LEAST));
  expect(await readAgentConfig(path)).toEqual({
    ...LEAST,
    dataDir: "/var/lib/flotilla",
    isolation: "gvisor",
  });
});

test("everything that is told is taken", async () => {
  const all = {
    ...LEAST,
    dataDir: "/data",
    isolation: "process",
    resources: { gpuCount: 0.5, cpuMilli: 100, memoryMiB: 64 },
    gpuType: "H100",
    emulatedGpus: true,
    endsWithParent: true,
    blobDir: "/server/blobs",
    aloneMsMax: 600_000,
    peerPort: 7_071,
  };
  await writeFile(path, JSON.stringify(all));
  expect(await readAgentConfig(path)).toEqual(all);
});

test("a file that is missing, broken or empty is named", async () => {
  await expect(readAgentConfig(join(dir, "none.json"))).rejects.toMatchObject({
    code: "invalid_request",
    message: expect.stringContaining("none.json") as string,
  });
  await refuses("{ not json", /cannot read .*agent\.json/);
  await refuses("null", /agent\.json holds no settings/);
  await refuses('"text"', /agent\.json holds no settings/);
});

test.each([
  [{ serverUrl: undefined }, "serverUrl"],
  [{ token: "" }, "token"],
  [{ nodeId: 5 }, "nodeId"],
  [{ dataDir: null }, "dataDir"],
  [{ isolation: "proces" }, "isolation"],
  [{ isolation: null }, "isolation"],
  [{ emulatedGpus: "yes" }, "emulatedGpus"],
  [{ endsWithParent: 1 }, "endsWithParent"],
  [{ aloneMsMax: "600 s" }, "aloneMsMax"],
  [{ peerPort: 70_000 }, "peerPort"],
  [{ peerPort: 1.5 }, "peerPort"],
  [{ peerPort: "7071" }, "peerPort"],
  [{ gpuType: 100 }, "gpuType"],
  [{ resources: 5 }, "resources"],
  [{ resources: { gpuCount: 0, cpuMilli: "100", memoryMiB: 1 } }, "resources.cpuMilli"],
  [{ resources: { gpuCount: -1, cpuMilli: 100, memoryMiB: 1 } }, "resources.gpuCount"],
  [{ resources: { gpuCount: 1, cpuMilli: 100 } }, "resources.memoryMiB"],
])("the setting that is wrong in %j is named", async (changes, field) => {
  await refuses(JSON.stringify({ ...LEAST, ...changes }), new RegExp(`agent\\.json: "${field}"`));
});

/** A data folder from before there were workspaces, opened by a platform that has them. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import { MIGRATIONS } from "./migrations.ts";
import { openRecordStore } from "./open.ts";

let dir: string;
let path: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "flotilla-before-workspaces-"));
  path = join(dir, "records.db");
  const before = MIGRATIONS.findIndex((sql) => sql.includes("CREATE TABLE workspaces"));
  const old = new DatabaseSync(path);
  for (const sql of MIGRATIONS.slice(0, before)) old.exec(sql);
  old.exec(`PRAGMA user_version = ${before};
    INSERT INTO tokens VALUES ('to_1', 'hash-1', 'default', 'owner', 'user', NULL, 1, NULL);
    INSERT INTO tokens VALUES ('to_2', 'hash-2', 'default', 'agent', 'agent', 'no_1', 1, 9);
    INSERT INTO deployments (app_id, workspace_id, app, mode, code_sha256, created_at_ms, version,
      state, lease_renewed_at_ms) VALUES ('ap_1', 'default', 'demo', 'deployed', 'abc', 1, 1, 'running', 1);
    INSERT INTO functions (function_id, app_id, position, name, spec) VALUES
      ('fn_1', 'ap_1', 0, 'a', '{"python":{"codeSha256":"def"}}'), ('fn_2', 'ap_1', 1, 'b', '{}');`);
  old.close();
});

afterEach(async () => {
  await rm(dir, { recursive: true });
});

test("what it has is the first workspace's, and its owner's token goes on to do everything", async () => {
  const store = openRecordStore(path);
  const [owner, agent] = await store.tokens.list("default");
  expect(owner).toMatchObject({ tokenId: "to_1", scopes: ["operator"] });
  expect(agent).toEqual({
    ...{ tokenId: "to_2", sha256: "hash-2", workspaceId: "default", name: "agent", kind: "agent" },
    ...{ nodeId: "no_1", createdAtMs: 1, expiresAtMs: 9 },
  });
  expect(await store.workspaces.list()).toMatchObject([{ workspaceId: "default" }]);
  for (const sha256 of ["abc", "def"]) {
    expect(await store.blobOwners.has("default", sha256)).toBe(true);
  }
  expect(await store.registry.findFunction("default", "demo", "b")).toBeDefined();
  await store.close();
});

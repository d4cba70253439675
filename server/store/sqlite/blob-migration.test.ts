/** A data folder from before payloads were removed, opened by a platform that removes them. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import { MIGRATIONS } from "./migrations.ts";
import { openRecordStore } from "./open.ts";

const CALL = `INSERT INTO calls (call_key, call_id, workspace_id, function_id, app_id, kind, state,
  input_count, finished_count, failed_count, final, created_at_ms, ended_at_ms)`;

let dir: string;
let path: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "flotilla-before-sweeps-"));
  path = join(dir, "records.db");
  const before = MIGRATIONS.findIndex((sql) => sql.includes("CREATE TABLE call_blobs"));
  const old = new DatabaseSync(path);
  for (const sql of MIGRATIONS.slice(0, before)) old.exec(sql);
  old.exec(`PRAGMA user_version = ${before};
    ${CALL} VALUES (3, 'ca_1', 'ws_1', 'fn_1', 'ap_1', 'single', 'finished', 1, 1, 0, 1, 1, 9);
    INSERT INTO inputs VALUES (3 << 24, NULL, 'input', 70000, 1);
    INSERT INTO yielded_values VALUES ((3 << 24) + 5, NULL, 'value', 70000);
    INSERT INTO results (result_key, idx, outcome, sha256, byte_count, run_ms, finished_at_ms)
      VALUES (3 << 24, 0, 'succeeded', 'result', 70000, 1, 9);
    INSERT INTO blob_owners VALUES ('ws_1', 'code-or-chunk'), ('ws_1', 'input');`);
  old.close();
});
afterEach(() => rm(dir, { recursive: true }));

test("payloads go with their call, and what clients have sent stays", async () => {
  const store = openRecordStore(path);
  const query = { beforeMs: Number.MAX_SAFE_INTEGER, after: "", limit: 10 };
  expect(await store.blobs.unnamed(query)).toEqual([]);
  await store.calls.expire({ beforeMs: 10, nowMs: 10, limit: 1 });
  expect(await store.blobs.unnamed(query)).toEqual(["result", "value"]);
  await store.close();
});

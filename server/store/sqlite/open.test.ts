import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testRecordStore } from "../conformance.ts";
import { openRecordStore } from "./open.ts";

testRecordStore("SQLite", async () => {
  const dir = await mkdtemp(join(tmpdir(), "flotilla-store-"));
  return {
    open: () => Promise.resolve(openRecordStore(join(dir, "records.db"))),
    remove: () => rm(dir, { recursive: true }),
  };
});

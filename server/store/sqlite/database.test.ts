import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Database } from "./database.ts";
import { MIGRATIONS } from "./migrations.ts";

const PLAN = "INSERT INTO plans (plan_id, at_ms, plan) VALUES (?, 1, '')";

const NEWER = /records\.db.*newer Flotilla.*schema 1000.*use that version/;

let dir: string;
let path: string;
const opened: { close(): void }[] = [];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "flotilla-database-"));
  path = join(dir, "records.db");
});

afterEach(async () => {
  for (const database of opened.splice(0)) database.close();
  await rm(dir, { recursive: true });
});

const open = (busyMs?: number): Database => {
  const database = new Database(path, busyMs);
  opened.push(database);
  return database;
};

/** The file as another program sees it. */
const raw = (): DatabaseSync => {
  const database = new DatabaseSync(path);
  opened.push(database);
  return database;
};

const planIds = (database: Pick<Database, "all">): unknown[] =>
  database.all("SELECT plan_id FROM plans ORDER BY position").map((row) => row["plan_id"]);

describe("opening", () => {
  test("a new file gets every migration, and opening it again runs none", () => {
    open().close();
    const versionOf = (): unknown => raw().prepare("PRAGMA user_version").get()?.["user_version"];
    expect(versionOf()).toBe(MIGRATIONS.length);
    const changesBefore = raw().prepare("PRAGMA schema_version").get();
    open();
    expect(versionOf()).toBe(MIGRATIONS.length);
    expect(raw().prepare("PRAGMA schema_version").get()).toEqual(changesBefore);
  });

  test("a file of a newer version is refused, told what to do, and left as it is", () => {
    open().close();
    raw().exec("PRAGMA user_version = 1000");
    const attempt = (): unknown => open();
    expect(attempt).toThrow(
      expect.objectContaining({
        name: "PlatformError",
        code: "unavailable",
        retryable: false,
        message: expect.stringMatching(NEWER) as string,
      }),
    );
    expect(raw().prepare("PRAGMA user_version").get()).toEqual({ user_version: 1000 });
  });

  test("a file that is no database is refused with its name", async () => {
    await writeFile(path, "this is a text and no database at all".repeat(100));
    expect(() => open()).toThrow(
      expect.objectContaining({
        code: "unavailable",
        retryable: false,
        message: expect.stringMatching(/cannot open the record store .*records\.db/) as string,
      }),
    );
  });

  test("another program's database is refused and left as it is", () => {
    raw().exec("CREATE TABLE calls (something TEXT)");
    expect(() => open()).toThrow(expect.objectContaining({ code: "unavailable" }));
    const tables = raw().prepare("SELECT name FROM sqlite_schema").all();
    expect(tables).toEqual([{ name: "calls" }]);
  });

  test("a folder that is not there is told", () => {
    expect(() => new Database(join(dir, "none", "records.db"))).toThrow(
      expect.objectContaining({ name: "PlatformError", code: "unavailable" }),
    );
  });
});

describe("writing", () => {
  test("writes of one turn share one transaction and come in the order asked", async () => {
    const database = open();
    const others = raw();
    let seenByOthers: unknown;
    const writes = ["a", "b", "c"].map((planId) =>
      database.write(() => {
        database.run(PLAN, planId);
        seenByOthers = others.prepare("SELECT COUNT(*) AS n FROM plans").get();
        return planId;
      }),
    );
    expect(await Promise.all(writes)).toEqual(["a", "b", "c"]);
    expect(seenByOthers).toEqual({ n: 0 });
    expect(planIds(database)).toEqual(["a", "b", "c"]);
  });

  test("a write is visible to every other reader of the file once it is acknowledged", async () => {
    const database = open();
    const others = raw();
    for (const planId of ["a", "b"]) {
      await database.write(() => database.run(PLAN, planId));
      expect(others.prepare("SELECT plan_id FROM plans WHERE plan_id = ?").get(planId)).toEqual({
        plan_id: planId,
      });
    }
  });

  test("a bad write fails alone and leaves nothing behind", async () => {
    const database = open();
    const outcomes = await Promise.allSettled([
      database.write(() => database.run(PLAN, "a")),
      database.write(() => {
        database.run(PLAN, "half");
        throw new RangeError("a bug");
      }),
      database.write(() => database.run(PLAN, "a")),
      database.write(() => database.run(PLAN, "b")),
    ]);
    expect(outcomes).toMatchObject([
      { status: "fulfilled", value: 1 },
      { status: "rejected", reason: { name: "RangeError", message: "a bug" } },
      { status: "rejected", reason: { name: "PlatformError", code: "conflict", retryable: false } },
      { status: "fulfilled", value: 1 },
    ]);
    expect(planIds(database)).toEqual(["a", "b"]);
  });

  test("a bad write that is alone tells its own error", async () => {
    const database = open();
    const bug = new RangeError("a bug");
    const failing = database.write(() => {
      throw bug;
    });
    await expect(failing).rejects.toBe(bug);
  });

  test("when the file is held by another, a whole group is refused after one wait", async () => {
    const waitMs = 100;
    const database = open(waitMs);
    const holder = raw();
    holder.exec("BEGIN IMMEDIATE");
    let ran = 0;
    const writes = Array.from({ length: 400 }, () => database.write(() => (ran += 1)));
    // Waiting once for each of them would take longer than a test may.
    const outcomes = await Promise.allSettled(writes);
    expect(ran).toBe(0);
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ reason: { code: "unavailable", retryable: true } });
    }
    holder.exec("COMMIT");
    await database.write(() => database.run(PLAN, "later"));
    expect(planIds(database)).toEqual(["later"]);
  });
});

describe("closing", () => {
  test("what was asked for before is committed, and nothing is taken after", async () => {
    const database = open();
    const writing = database.write(() => database.run(PLAN, "last"));
    database.close();
    expect(await writing).toBe(1);
    const closed = { name: "PlatformError", code: "unavailable" };
    await expect(database.write(() => 1)).rejects.toMatchObject(closed);
    expect(() => planIds(database)).toThrow(expect.objectContaining(closed));
    expect(planIds(open())).toEqual(["last"]);
  });
});

describe("a write that nobody waits for", () => {
  test("goes with the next group", async () => {
    const database = open();
    const soon = database.writeSoon(() => database.run(PLAN, "soon"));
    await database.write(() => database.run(PLAN, "now"));
    expect(await soon).toBe(1);
    expect(planIds(database)).toEqual(["soon", "now"]);
  });

  test("is committed by itself when nothing else is, and when the file is closed", async () => {
    const database = open();
    await database.writeSoon(() => database.run(PLAN, "alone"));
    const last = database.writeSoon(() => database.run(PLAN, "last"));
    database.close();
    expect(await last).toBe(1);
    expect(planIds(open())).toEqual(["alone", "last"]);
  });
});

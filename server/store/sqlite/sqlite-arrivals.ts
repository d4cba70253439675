/**
 * When functions were called, in SQLite: one small row each.
 *
 * The history is a JSON list of three: the counts by the second without the zeros in front, the
 * awakenings as pairs, and the time of the last input. At most about 1 KiB.
 */
import type { ArrivalHistory } from "../../../scheduler/index.ts";
import type { ArrivalStore, FunctionKey, StoredArrivals } from "../record-store.ts";
import type { Database } from "./database.ts";
import { count, text } from "./row.ts";

/** Functions remembered; those that were called longest ago are forgotten first. */
const FUNCTIONS_KEPT = 10_000;

type Packed = readonly [
  perSecond: readonly number[],
  awakenings: readonly (readonly [atMs: number, inputs: number])[],
  lastAtMs: number | null,
];

export class SqliteArrivals implements ArrivalStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async put({ workspaceId, app, name, atMs, history, startupMs }: StoredArrivals): Promise<void> {
    await this.#db.write(() => {
      this.#db.run(
        `INSERT INTO arrivals (workspace_id, app, name, at_ms, history, startup_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (workspace_id, app, name) DO UPDATE SET
           at_ms = ?4, history = ?5, startup_ms = ?6`,
        workspaceId,
        app,
        name,
        atMs,
        JSON.stringify(packed(history)),
        startupMs ?? null,
      );
      this.#db.run(
        `DELETE FROM arrivals WHERE rowid IN
           (SELECT rowid FROM arrivals ORDER BY at_ms DESC, rowid DESC LIMIT -1 OFFSET ?)`,
        FUNCTIONS_KEPT,
      );
    });
  }

  async get({ workspaceId, app, name }: FunctionKey): Promise<StoredArrivals | undefined> {
    const row = this.#db.get(
      "SELECT * FROM arrivals WHERE workspace_id = ? AND app = ? AND name = ?",
      workspaceId,
      app,
      name,
    );
    if (row === undefined) return Promise.resolve(undefined);
    const { startup_ms: startupMs } = row;
    return Promise.resolve({
      workspaceId,
      app,
      name,
      atMs: count(row, "at_ms"),
      history: unpacked(JSON.parse(text(row, "history")) as Packed),
      ...(typeof startupMs === "number" ? { startupMs } : {}),
    });
  }
}

function packed({ perSecond, awakenings, lastAtMs }: ArrivalHistory): Packed {
  const first = perSecond.findIndex((inputs) => inputs > 0);
  return [
    first === -1 ? [] : perSecond.slice(first),
    awakenings.map(({ atMs, inputs }) => [atMs, inputs] as const),
    lastAtMs ?? null,
  ];
}

function unpacked([perSecond, awakenings, lastAtMs]: Packed): ArrivalHistory {
  return {
    perSecond,
    awakenings: awakenings.map(([atMs, inputs]) => ({ atMs, inputs })),
    ...(lastAtMs === null ? {} : { lastAtMs }),
  };
}

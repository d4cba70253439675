/**
 * One SQLite file: opened, migrated, and written to in groups.
 *
 * Writes asked for in one turn of the event loop share a transaction (group commit), so a burst
 * costs one commit. When one of them fails the transaction is rolled back and each is tried in
 * one of its own: a bad write fails alone. When the file itself cannot be written, all of the
 * group fail at once. WAL with `synchronous = NORMAL` survives the death of
 * this process at any moment; a power cut may lose the last commits but never corrupts.
 */
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { messageOf, PlatformError } from "../../../core/index.ts";
import { MIGRATIONS } from "./migrations.ts";

type Row = Record<string, unknown>;

interface Write {
  readonly run: () => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

const BUSY_MS = 5_000;
const SOON_MS = 10;
/** SQLite's primary result code of a broken constraint; extended ones have it in their low byte. */
const SQLITE_CONSTRAINT = 19;

/** A write of a group failed by itself: the others may still succeed. */
class WriteFailure extends Error {
  override readonly name = "WriteFailure";
}

export class Database {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #writes: Write[] = [];
  #flush: NodeJS.Immediate | undefined;
  #soon: NodeJS.Timeout | undefined;
  #closed = false;

  /**
   * @param busyMs How long a write waits for another process that holds the file.
   * @throws PlatformError `unavailable` when the file cannot be opened or is too new.
   */
  constructor(path: string, busyMs = BUSY_MS) {
    this.#db = openFile(path, busyMs);
    try {
      this.#db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;");
      this.#db.exec("PRAGMA foreign_keys = ON; PRAGMA cache_size = -32768;");
      this.#migrate(path);
    } catch (error) {
      this.#db.close();
      throw error instanceof PlatformError ? error : cannotOpen(path, error);
    }
  }

  /**
   * Runs `write` in the next group and resolves with what it gives once that is committed.
   * It may run twice (see above), so it must have no effect but on the database.
   */
  async write<Value>(write: () => Value): Promise<Value> {
    this.#assertOpen();
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#writes.push({ run: write, resolve, reject });
    this.#flush ??= setImmediate(() => this.#commit());
    return promise as Promise<Value>;
  }

  /**
   * The same for a write that nobody waits for: it goes with the next group, or in one of its own
   * after `SOON_MS`. Every commit writes whole pages, so joining another's is nearly free.
   */
  async writeSoon<Value>(write: () => Value): Promise<Value> {
    this.#assertOpen();
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#writes.push({ run: write, resolve, reject });
    this.#soon ??= setTimeout(() => this.#commit(), SOON_MS);
    return promise as Promise<Value>;
  }

  /** Changes rows; gives how many. To be called inside `write`. */
  run(sql: string, ...values: readonly SQLInputValue[]): number {
    return Number(this.#statement(sql).run(...values).changes);
  }

  /** Inserts a row and gives its integer key. To be called inside `write`. */
  insert(sql: string, ...values: readonly SQLInputValue[]): number {
    return Number(this.#statement(sql).run(...values).lastInsertRowid);
  }

  get(sql: string, ...values: readonly SQLInputValue[]): Row | undefined {
    return this.#read(() => this.#statement(sql).get(...values));
  }

  all(sql: string, ...values: readonly SQLInputValue[]): readonly Row[] {
    return this.#read(() => this.#statement(sql).all(...values));
  }

  /** Commits what is asked for and closes the file. */
  close(): void {
    if (this.#closed) return;
    this.#commit();
    this.#closed = true;
    this.#statements.clear();
    this.#db.close();
  }

  /** Reads inside a write fail as they are: `#commit` says what becomes of them. */
  #read<Value>(read: () => Value): Value {
    this.#assertOpen();
    try {
      return read();
    } catch (error) {
      throw this.#db.isTransaction ? error : failureOf(error, "read");
    }
  }

  #assertOpen(): void {
    if (!this.#closed) return;
    throw new PlatformError("the record store is closed", { code: "unavailable", retryable: true });
  }

  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#db.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  #commit(): void {
    clearImmediate(this.#flush);
    clearTimeout(this.#soon);
    this.#flush = undefined;
    this.#soon = undefined;
    const writes = this.#writes;
    this.#writes = [];
    if (writes.length === 0) return;
    try {
      const values = this.#transaction(() => writes.map(runOne));
      for (const [position, write] of writes.entries()) write.resolve(values[position]);
    } catch (error) {
      const failedAlone = error instanceof WriteFailure;
      if (failedAlone && writes.length > 1) for (const write of writes) this.#commitAlone(write);
      else for (const write of writes) write.reject(failureOf(failedAlone ? error.cause : error));
    }
  }

  #commitAlone(write: Write): void {
    try {
      write.resolve(this.#transaction(write.run));
    } catch (error) {
      write.reject(failureOf(error));
    }
  }

  #transaction<Value>(body: () => Value): Value {
    this.#statement("BEGIN IMMEDIATE").run();
    try {
      const value = body();
      this.#statement("COMMIT").run();
      return value;
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw error;
    }
  }

  /** The version is read under the lock: of several processes that open a new file, one migrates. */
  #migrate(path: string): void {
    this.#transaction(() => {
      const version = Number(this.get("PRAGMA user_version")?.["user_version"] ?? 0);
      if (version > MIGRATIONS.length) {
        throw new PlatformError(
          `the record store ${path} was written by a newer Flotilla (schema ${version}, this one ` +
            `knows ${MIGRATIONS.length}): use that version, or another data folder`,
          { code: "unavailable", retryable: false, details: { version } },
        );
      }
      if (version === MIGRATIONS.length) return;
      for (const sql of MIGRATIONS.slice(version)) this.#db.exec(sql);
      this.#db.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
    });
  }
}

function openFile(path: string, busyMs: number): DatabaseSync {
  try {
    return new DatabaseSync(path, { timeout: busyMs });
  } catch (error) {
    throw cannotOpen(path, error);
  }
}

function cannotOpen(path: string, cause: unknown): PlatformError {
  return new PlatformError(`cannot open the record store ${path}: ${messageOf(cause)}`, {
    code: "unavailable",
    retryable: false,
    cause,
  });
}

function runOne(write: Write): unknown {
  try {
    return write.run();
  } catch (error) {
    throw new WriteFailure("a write of a group failed", { cause: error });
  }
}

/** SQLite's errors in our words; anything else is a bug and stays what it is. */
function failureOf(error: unknown, attempted: "read" | "write" = "write"): unknown {
  if (!(error instanceof Error) || !("errcode" in error)) return error;
  // A key that is taken stays taken, however often the write is tried again.
  const isConflict = (Number(error.errcode) & 0xff) === SQLITE_CONSTRAINT;
  return new PlatformError(`the record store refused a ${attempted}: ${error.message}`, {
    code: isConflict ? "conflict" : "unavailable",
    retryable: !isConflict,
    cause: error,
  });
}

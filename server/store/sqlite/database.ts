/**
 * One SQLite file: opened, migrated, and written to in groups.
 *
 * Writes asked for in one turn of the event loop share a transaction (group commit), so a burst
 * costs one commit. When one of them fails the transaction is rolled back and each is tried in
 * one of its own: a bad write fails alone. WAL with `synchronous = NORMAL` survives the death of
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

/** How long a write waits for another process that holds the file. */
const BUSY_MS = 5_000;

export class Database {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #writes: Write[] = [];
  #flush: NodeJS.Immediate | undefined;
  #closed = false;

  /** @throws PlatformError `unavailable` when the file cannot be opened or is too new. */
  constructor(path: string) {
    try {
      this.#db = new DatabaseSync(path, { timeout: BUSY_MS });
      this.#db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;");
      this.#db.exec("PRAGMA foreign_keys = ON; PRAGMA cache_size = -32768;");
    } catch (error) {
      throw new PlatformError(`cannot open the record store ${path}: ${messageOf(error)}`, {
        code: "unavailable",
        retryable: false,
        cause: error,
      });
    }
    this.#migrate(path);
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

  /** Changes rows; gives how many. To be called inside `write`. */
  run(sql: string, ...values: readonly SQLInputValue[]): number {
    return Number(this.#statement(sql).run(...values).changes);
  }

  /** Inserts a row and gives its integer key. To be called inside `write`. */
  insert(sql: string, ...values: readonly SQLInputValue[]): number {
    return Number(this.#statement(sql).run(...values).lastInsertRowid);
  }

  get(sql: string, ...values: readonly SQLInputValue[]): Row | undefined {
    this.#assertOpen();
    return this.#statement(sql).get(...values);
  }

  all(sql: string, ...values: readonly SQLInputValue[]): readonly Row[] {
    this.#assertOpen();
    return this.#statement(sql).all(...values);
  }

  /** Commits what is asked for and closes the file. */
  close(): void {
    if (this.#closed) return;
    this.#commit();
    this.#closed = true;
    this.#statements.clear();
    this.#db.close();
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
    this.#flush = undefined;
    const writes = this.#writes;
    this.#writes = [];
    if (writes.length === 0) return;
    try {
      const values = this.#transaction(() => writes.map((write) => write.run()));
      for (const [position, write] of writes.entries()) write.resolve(values[position]);
    } catch (error) {
      if (writes.length === 1) writes[0]?.reject(failureOf(error));
      else for (const write of writes) this.#commitAlone(write);
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
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      const value = body();
      this.#db.exec("COMMIT");
      return value;
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw error;
    }
  }

  #migrate(path: string): void {
    const version = Number(this.get("PRAGMA user_version")?.["user_version"] ?? 0);
    if (version > MIGRATIONS.length) {
      this.#db.close();
      throw new PlatformError(
        `the record store ${path} was written by a newer Flotilla (schema ${version}, this one ` +
          `knows ${MIGRATIONS.length}): use that version, or another data folder`,
        { code: "unavailable", retryable: false, details: { version } },
      );
    }
    for (const [step, sql] of MIGRATIONS.entries()) {
      if (step < version) continue;
      this.#transaction(() => this.#db.exec(`${sql}; PRAGMA user_version = ${step + 1};`));
    }
  }
}

function failureOf(error: unknown): unknown {
  if (!(error instanceof Error) || !("errcode" in error)) return error;
  return new PlatformError(`the record store refused a write: ${error.message}`, {
    code: "unavailable",
    retryable: true,
    cause: error,
  });
}

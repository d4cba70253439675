/** What was seen of offers, in SQLite. */
import type { OfferRecord } from "../../fleet/observed/offer-record.ts";
import type { OfferRecords } from "../record-store.ts";
import type { Database } from "./database.ts";
import { text } from "./row.ts";

export class SqliteOffers implements OfferRecords {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async put(records: readonly OfferRecord[]): Promise<void> {
    await this.#db.write(() => {
      for (const record of records) {
        this.#db.run(
          `INSERT INTO offer_records VALUES (?1, ?2)
           ON CONFLICT (offer_key) DO UPDATE SET record = ?2`,
          record.key,
          JSON.stringify(record),
        );
      }
    });
  }

  list(): Promise<readonly OfferRecord[]> {
    const rows = this.#db.all("SELECT record FROM offer_records ORDER BY offer_key");
    return Promise.resolve(rows.map((row) => JSON.parse(text(row, "record")) as OfferRecord));
  }
}

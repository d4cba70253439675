/** Reading typed values out of rows whose shape the schema fixes. */
import { assert } from "../../../core/index.ts";
import type { StoredPayload } from "../record-store.ts";

export type Row = Readonly<Record<string, unknown>>;

export function text(row: Row, column: string): string {
  const value = row[column];
  assert(typeof value === "string", `column ${column} holds no text`);
  return value;
}

export function count(row: Row, column: string): number {
  const value = row[column];
  assert(typeof value === "number", `column ${column} holds no number`);
  return value;
}

export function bytes(row: Row, column: string): Uint8Array {
  const value = row[column];
  assert(value instanceof Uint8Array, `column ${column} holds no bytes`);
  return value;
}

/** The three columns of a payload. */
export function payloadOf(row: Row): StoredPayload | undefined {
  const { payload, sha256, byte_count: byteCount } = row;
  if (payload instanceof Uint8Array) return { kind: "inline", bytes: payload };
  if (typeof sha256 === "string" && typeof byteCount === "number") {
    return { kind: "blob", sha256, byteCount };
  }
  return undefined;
}

/** A payload as the values of its three columns. */
export function payloadColumns(
  payload: StoredPayload | undefined,
): readonly [Uint8Array | null, string | null, number | null] {
  if (payload === undefined) return [null, null, null];
  if (payload.kind === "inline") return [payload.bytes, null, payload.bytes.byteLength];
  return [null, payload.sha256, payload.byteCount];
}

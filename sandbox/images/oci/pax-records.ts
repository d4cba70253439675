/**
 * The records of a PAX header: `"<length> <key>=<value>\n"` each, the length in bytes and of the
 * whole record. Source: POSIX.1-2017 pax(1), "pax Extended Header".
 *
 * Extended attributes are records named `SCHILY.xattr.<name>`, as star, GNU tar, libarchive and
 * Docker write them; their values are bytes. In a name GNU tar writes `%` as `%25` and `=` as
 * `%3D`, because the first `=` ends it.
 */
import type { Xattr } from "../../store/index.ts";
import { wrongImage } from "./image-error.ts";

/** What a header says of the entry after it. */
export interface PaxRecords {
  readonly texts: Readonly<Record<string, string>>;
  /** In the order of their names' first appearance, each name once. */
  readonly xattrs: readonly Xattr[];
}

export const NO_RECORDS: PaxRecords = { texts: {}, xattrs: [] };

const XATTR = "SCHILY.xattr.";
const SPACE = 32;
const EQUALS = 61;
const LINE_END = 10;
const LENGTH = /^[1-9][0-9]{0,6}$/;
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads the body of a header. @throws PlatformError `invalid_request` when it is damaged */
export function parsePax(body: Uint8Array): PaxRecords {
  const texts = new Map<string, string>();
  const xattrs = new Map<string, Uint8Array>();
  for (let at = 0; at < body.length;) {
    const record = recordAt(body, at);
    at += record.byteCount;
    if (record.key.startsWith(XATTR)) xattrs.set(xattrNameOf(record.key), record.value);
    else texts.set(record.key, new TextDecoder().decode(record.value));
  }
  return {
    texts: Object.fromEntries(texts),
    xattrs: [...xattrs].map(([name, value]) => ({ name, value })),
  };
}

/** What one header says and, where it says nothing, another one before it. */
export function laterRecords(before: PaxRecords, after: PaxRecords): PaxRecords {
  const named = new Set(after.xattrs.map(({ name }) => name));
  return {
    texts: { ...before.texts, ...after.texts },
    xattrs: [...before.xattrs.filter(({ name }) => !named.has(name)), ...after.xattrs],
  };
}

interface PaxRecord {
  readonly byteCount: number;
  readonly key: string;
  readonly value: Uint8Array;
}

function recordAt(body: Uint8Array, at: number): PaxRecord {
  const space = body.indexOf(SPACE, at);
  const length = new TextDecoder().decode(body.subarray(at, Math.max(at, space)));
  const end = at + (LENGTH.test(length) ? Number(length) : 0);
  const equals = body.indexOf(EQUALS, space);
  const isWhole = space > at && end <= body.length && body[end - 1] === LINE_END;
  if (!isWhole || equals <= space + 1 || equals >= end) {
    throw wrongImage("a PAX header is damaged");
  }
  const key = keyOf(body.subarray(space + 1, equals));
  // The archive's bytes are one large piece, which a small value must not keep in memory.
  return { byteCount: end - at, key, value: new Uint8Array(body.subarray(equals + 1, end - 1)) };
}

function keyOf(bytes: Uint8Array): string {
  if (bytes.includes(0)) throw wrongImage("a PAX header has a key with a NUL in it");
  try {
    return strict.decode(bytes);
  } catch {
    // Keys of other encodings would fall together when they are decoded with losses.
    throw wrongImage("a PAX header has a key that is no UTF-8");
  }
}

function xattrNameOf(key: string): string {
  return key.slice(XATTR.length).replaceAll("%3D", "=").replaceAll("%25", "%");
}

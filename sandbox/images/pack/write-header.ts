/**
 * Headers of tar archives: ustar, with a PAX header before what does not fit there. Source:
 * POSIX.1-2017 pax(1).
 */
import type { Xattr } from "../../store/index.ts";

/** What a header says of an entry. */
export interface TarHeader {
  readonly type: "file" | "hardlink" | "symlink" | "directory";
  readonly name: string;
  /** Target of a link. */
  readonly linkName?: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly modifiedAtS: number;
  /** Bytes that follow it. */
  readonly byteCount: number;
  /** Extended attributes, as `oci/pax-records.ts` reads them. */
  readonly xattrs?: readonly Xattr[];
}

export const TAR_BLOCK_BYTES = 512;
/** What an archive ends with. */
export const TAR_END = new Uint8Array(2 * TAR_BLOCK_BYTES);

const NAME_BYTES_MAX = 100;
/** Largest number in an octal field of 7 and of 11 digits. */
const OCTAL_7_MAX = 0o7777777;
const OCTAL_11_MAX = 0o77777777777;
const FLAGS = { file: "0", hardlink: "1", symlink: "2", directory: "5" } as const;

/** The header of one entry, in whole blocks. */
export function tarHeader(header: TarHeader): Uint8Array {
  const { type, name, linkName = "", uid, gid, byteCount, xattrs = [] } = header;
  const modifiedAtS = Math.max(0, Math.floor(header.modifiedAtS));
  const records = [
    ...(isShort(name) ? [] : [`path=${name}`]),
    ...(isShort(linkName) ? [] : [`linkpath=${linkName}`]),
    ...(uid <= OCTAL_7_MAX ? [] : [`uid=${uid}`]),
    ...(gid <= OCTAL_7_MAX ? [] : [`gid=${gid}`]),
    ...(byteCount <= OCTAL_11_MAX ? [] : [`size=${byteCount}`]),
    ...(modifiedAtS <= OCTAL_11_MAX ? [] : [`mtime=${modifiedAtS}`]),
    ...xattrs.map(xattrRecord),
  ];
  const block = blockOf({
    flag: FLAGS[type],
    name,
    linkName,
    numbers: { mode: header.mode & 0o7777, uid, gid, byteCount, modifiedAtS },
  });
  return records.length === 0 ? block : Buffer.concat([paxHeader(records), block]);
}

/** Zeros between so many bytes of a file and the next header. */
export function tarPadding(byteCount: number): Uint8Array {
  return new Uint8Array((TAR_BLOCK_BYTES - (byteCount % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES);
}

interface Block {
  readonly flag: string;
  readonly name: string;
  readonly linkName: string;
  readonly numbers: Pick<TarHeader, "mode" | "uid" | "gid" | "byteCount" | "modifiedAtS">;
}

/** Texts and numbers that are too long are cut; a PAX header has them whole. */
function blockOf({ flag, name, linkName, numbers }: Block): Buffer {
  const block = Buffer.alloc(TAR_BLOCK_BYTES);
  block.set(Buffer.from(name).subarray(0, NAME_BYTES_MAX), 0);
  writeOctal(block, 100, 7, numbers.mode);
  writeOctal(block, 108, 7, numbers.uid);
  writeOctal(block, 116, 7, numbers.gid);
  writeOctal(block, 124, 11, numbers.byteCount);
  writeOctal(block, 136, 11, numbers.modifiedAtS);
  block.write("        ", 148);
  block.write(flag, 156);
  block.set(Buffer.from(linkName).subarray(0, NAME_BYTES_MAX), 157);
  block.write("ustar\u000000", 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

function writeOctal(block: Buffer, at: number, digits: number, value: number): void {
  const fits = value <= (digits === 7 ? OCTAL_7_MAX : OCTAL_11_MAX);
  block.write((fits ? value : 0).toString(8).padStart(digits, "0"), at);
}

/** `"<length> <key>=<value>\n"` each, of which the length counts its own digits. */
function paxHeader(records: readonly (string | Uint8Array)[]): Buffer {
  const lines = records.flatMap((record) => {
    const rest = Buffer.byteLength(record) + 2;
    let length = rest + 1;
    while (String(length).length + rest !== length) length = String(length).length + rest;
    return [Buffer.from(`${length} `), Buffer.from(record), Buffer.from("\n")];
  });
  const body = Buffer.concat(lines);
  const numbers = { mode: 0o644, uid: 0, gid: 0, byteCount: body.byteLength, modifiedAtS: 0 };
  const block = blockOf({ flag: "x", name: "pax", linkName: "", numbers });
  return Buffer.concat([block, body, tarPadding(body.byteLength)]);
}

function xattrRecord({ name, value }: Xattr): Uint8Array {
  const key = name.replaceAll("%", "%25").replaceAll("=", "%3D");
  return Buffer.concat([Buffer.from(`SCHILY.xattr.${key}=`), value]);
}

function isShort(name: string): boolean {
  return Buffer.byteLength(name) <= NAME_BYTES_MAX;
}

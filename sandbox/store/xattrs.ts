/** Extended attributes: how an index keeps them, and how a tree's are read and set. */
import { spawnSync } from "node:child_process";

/** One extended attribute. */
export interface Xattr {
  /** With its namespace, such as `security.capability`. */
  readonly name: string;
  readonly value: Uint8Array;
}

const GIVEN = "user.";
const HEADER_BYTES = 6;
const OUTPUT_BYTES_MAX = 256 * 1_024 * 1_024;

/**
 * Whether programs are given an attribute: those of programs about files alone. All others mean
 * something to a kernel (`security.capability` gives rights to who runs the file), and whoever
 * made an image has no say in that on the machines that mount it.
 */
export function isGivenXattr(name: string): boolean {
  return name.startsWith(GIVEN) && name.length > GIVEN.length;
}

/** Attributes as an index keeps them, by name: u16 and u32 lengths, name, value. */
export function writeXattrs(xattrs: readonly Xattr[]): Uint8Array {
  const sorted = xattrs.toSorted((left, right) => (left.name < right.name ? -1 : 1));
  const parts = sorted.flatMap(({ name, value }) => {
    const text = Buffer.from(name);
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt16LE(text.byteLength, 0);
    header.writeUInt32LE(value.byteLength, 2);
    return [header, text, value];
  });
  return Buffer.concat(parts);
}

/** The attributes in what `writeXattrs` made; undefined when the bytes are none. */
export function readXattrs(bytes: Uint8Array): readonly Xattr[] | undefined {
  const copy = Buffer.from(bytes);
  const xattrs: Xattr[] = [];
  let at = 0;
  while (at < copy.byteLength) {
    if (at + HEADER_BYTES > copy.byteLength) return undefined;
    const nameAt = at + HEADER_BYTES;
    const valueAt = nameAt + copy.readUInt16LE(at);
    const end = valueAt + copy.readUInt32LE(at + 2);
    if (end > copy.byteLength) return undefined;
    xattrs.push({
      name: copy.toString("utf8", nameAt, valueAt),
      value: copy.subarray(valueAt, end),
    });
    at = end;
  }
  return xattrs;
}

/**
 * The attributes of everything under a folder, by path from it (`.` is the folder itself), as
 * `getfattr` of the package `attr` prints them; undefined where that is not installed.
 */
export function readTreeXattrs(rootDir: string): ReadonlyMap<string, readonly Xattr[]> | undefined {
  const args = ["-R", "-P", "-h", "-d", "-m", "-", "-e", "base64", "."];
  const run = spawnSync("getfattr", args, { cwd: rootDir, maxBuffer: OUTPUT_BYTES_MAX });
  if (run.error !== undefined) return undefined;
  return parseGetfattr(run.stdout.toString("latin1"));
}

/** Reads what `getfattr -d -e base64` prints; paths are latin1, each byte a character. */
export function parseGetfattr(output: string): ReadonlyMap<string, readonly Xattr[]> {
  const found = new Map<string, Xattr[]>();
  let current: Xattr[] = [];
  for (const line of output.split("\n")) {
    if (line.startsWith("# file: ")) {
      current = [];
      found.set(unescaped(line.slice(8)), current);
    }
    const match = /^([^#=]+)=0s(.*)$/.exec(line) ?? /^([^#=]+)()$/.exec(line);
    const [, name, value] = match ?? [];
    if (name === undefined || value === undefined) continue;
    current.push({ name: unescaped(name), value: Buffer.from(value, "base64") });
  }
  return found;
}

/** `getfattr` writes line ends, backslashes and bytes above 127 as `\ooo`. */
function unescaped(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

/** Sets attributes of files by path, through `setfattr`; says whether that is installed. */
export function setTreeXattrs(
  rootDir: string,
  xattrs: ReadonlyMap<string, readonly Xattr[]>,
): boolean {
  if (xattrs.size === 0) return true;
  const dump = [...xattrs].map(([path, list]) => {
    const lines = list.map(({ name, value }) => {
      return `${escaped(name)}=0s${Buffer.from(value).toString("base64")}`;
    });
    return [`# file: ${escaped(path)}`, ...lines, ""].join("\n");
  });
  const input = Buffer.from(dump.join("\n"), "latin1");
  const run = spawnSync("setfattr", ["-h", "--restore=-"], { cwd: rootDir, input });
  return run.error === undefined;
}

function escaped(text: string): string {
  return text.replaceAll(/[\\\n\r=]|[^\x20-\x7e]/g, (character) => {
    return `\\${character.charCodeAt(0).toString(8).padStart(3, "0")}`;
  });
}

/**
 * Whether the name of an archive's entry, or a path that a user gave, stays in its root: a pure
 * check of the text. Links on the way are `ConfinedTree`'s matter, which follows none outside.
 */

/** A path below a root as its names, or why it is none. The root itself has no names. */
export type EntryPath =
  | { readonly kind: "inside"; readonly names: readonly string[] }
  /** `reason` ends a sentence that begins with the path. */
  | { readonly kind: "refused"; readonly reason: string };

export interface EntryPathOptions {
  /** What becomes of `/` at the beginning: some writers of layers put it before every name. */
  readonly leadingSlash?: "refuse" | "strip";
}

/** Longest name and path that Linux takes, in bytes (limits.h: NAME_MAX, and PATH_MAX - 1). */
export const NAME_BYTES_MAX = 255;
const PATH_BYTES_MAX = 4_095;
/** Folders within folders; deeper trees are made to exhaust whoever walks them. */
export const DEPTH_MAX = 256;

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/**
 * The names that a path consists of. `.` and empty names are left out; `..` is refused wherever
 * it stands, also where the path would come back, since a link may stand before it.
 *
 * @param path Text, or the bytes of an archive, which must be UTF-8.
 */
export function entryPathOf(path: string | Uint8Array, options: EntryPathOptions = {}): EntryPath {
  const text = typeof path === "string" ? path : decoded(path);
  if (text === undefined) return refused("is not UTF-8");
  const fault = textFaultOf(text, options);
  if (fault !== undefined) return refused(fault);
  const names = text.split("/").filter((name) => name !== "" && name !== ".");
  if (names.includes("..")) return refused('has ".." in it');
  if (names.length > DEPTH_MAX) return refused(`is deeper than ${DEPTH_MAX} folders`);
  const long = names.find((name) => encoder.encode(name).byteLength > NAME_BYTES_MAX);
  if (long !== undefined) return refused(`has a name longer than ${NAME_BYTES_MAX} bytes`);
  return { kind: "inside", names };
}

/**
 * What two names share that some file system, or a person, takes for one: case, ways to compose
 * a character, and compatible forms of it.
 */
export function foldedName(name: string): string {
  return name.normalize("NFKC").toLowerCase().toUpperCase().normalize("NFKC");
}

function decoded(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    // Names of other encodings would fall together when they are decoded with losses.
    return undefined;
  }
}

function textFaultOf(text: string, { leadingSlash }: EntryPathOptions): string | undefined {
  if (!text.isWellFormed()) return "has half a character";
  if (text.includes("\0")) return "has a NUL in it";
  if (text === "") return "is empty";
  if (text.startsWith("/") && leadingSlash !== "strip") return "is absolute";
  const isLong = encoder.encode(text).byteLength > PATH_BYTES_MAX;
  return isLong ? `is longer than ${PATH_BYTES_MAX} bytes` : undefined;
}

function refused(reason: string): EntryPath {
  return { kind: "refused", reason };
}

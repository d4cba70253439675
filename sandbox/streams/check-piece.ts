/** Pieces from a container, checked: user code can write whatever it likes to the channel. */
import type { HeaderPairs, Piece } from "./piece.ts";

/** Headers of one response, and the characters of them all. */
const HEADERS_MAX = 200;
const HEADER_CHARACTERS_MAX = 64 * 1024;

/** The piece that `value` is, with its known fields only; undefined when it is none. */
export function pieceOf(value: unknown): Piece | undefined {
  if (typeof value !== "object" || value === null || !("kind" in value)) return undefined;
  const fields: Readonly<Record<string, unknown>> = { ...value };
  switch (value.kind) {
    case "begin":
    case "detached":
    case "data":
    case "end":
      return { kind: value.kind };
    case "head":
      return headOf(fields["status"], fields["headers"]);
    case "credit":
      return creditOf(fields["bytes"]);
    case "reset": {
      const { message } = fields;
      return { kind: "reset", message: typeof message === "string" ? message : "" };
    }
    default:
      return undefined;
  }
}

function creditOf(bytes: unknown): Piece | undefined {
  const isAmount = typeof bytes === "number" && Number.isSafeInteger(bytes) && bytes >= 0;
  return isAmount ? { kind: "credit", bytes } : undefined;
}

function headOf(status: unknown, headers: unknown): Piece | undefined {
  const isStatus = typeof status === "number" && Number.isInteger(status);
  if (!isStatus || status < 101 || status > 999 || !isHeaderPairs(headers)) return undefined;
  return { kind: "head", status, headers };
}

function isHeaderPairs(value: unknown): value is HeaderPairs {
  if (!Array.isArray(value) || value.length > HEADERS_MAX) return false;
  const pairs: readonly unknown[] = value;
  let characters = 0;
  for (const pair of pairs) {
    if (!Array.isArray(pair) || pair.length !== 2) return false;
    const [name, text] = pair as readonly unknown[];
    if (typeof name !== "string" || typeof text !== "string") return false;
    characters += name.length + text.length;
  }
  return characters <= HEADER_CHARACTERS_MAX;
}

/** The lines of a Dockerfile as instructions: continued lines joined, here-documents taken in. */
import { UsageError } from "../../../errors.ts";

/** A here-document: text that stands in the file itself. */
export interface HereDocument {
  readonly name: string;
  /** Whether variables in it are expanded: its name was not in quotes. */
  readonly expands: boolean;
  /** With its lines as they are; without tabs at their beginning where it said `<<-`. */
  readonly text: string;
}

export interface Instruction {
  readonly line: number;
  /** In capitals. */
  readonly name: string;
  readonly rest: string;
  readonly documents: readonly HereDocument[];
}

const CONTINUED = /\\\s*$/;
/** A word that opens a here-document. */
const HERE = /(?<=^|\s)\d*<<(-?)(["']?)([A-Za-z0-9_.]+)\2(?=\s|$)/g;
/** Instructions that may have here-documents. Source: docs.docker.com/reference/dockerfile (2025-06) */
const WITH_DOCUMENTS: ReadonlySet<string> = new Set(["RUN", "COPY", "ADD"]);

/** Reads instructions in order. @throws UsageError naming file and line */
export function instructionsOf(text: string, file: string): readonly Instruction[] {
  const lines = text.split(/\r?\n/);
  const instructions: Instruction[] = [];
  let held = "";
  let startLine = 0;
  for (let index = 0; index < lines.length; index += 1) {
    const raw = lines[index] ?? "";
    const line = index + 1;
    if (isComment(raw, `${file}:${line}`) || (held === "" && raw.trim() === "")) continue;
    if (held === "") startLine = line;
    if (CONTINUED.test(raw)) {
      held += raw.replace(CONTINUED, " ");
      continue;
    }
    const [, name = "", rest = ""] = /^\s*(\S+)\s*(.*?)\s*$/s.exec(held + raw) ?? [];
    const instruction = { line: startLine, name: name.toUpperCase(), rest };
    const { documents, next } = documentsOf(instruction, { lines, index, file });
    instructions.push({ ...instruction, documents });
    index = next;
    held = "";
  }
  if (held.trim() === "") return instructions;
  throw new UsageError(`${file}:${startLine}: the last line is continued, and ends`);
}

function documentsOf(
  { name, rest, line }: Omit<Instruction, "documents">,
  { lines, index, file }: { lines: readonly string[]; index: number; file: string },
): { readonly documents: readonly HereDocument[]; readonly next: number } {
  const documents: HereDocument[] = [];
  let next = index;
  if (!WITH_DOCUMENTS.has(name) || rest.startsWith("[")) return { documents, next };
  for (const [, dash = "", quote = "", word = ""] of rest.matchAll(HERE)) {
    const body: string[] = [];
    for (;;) {
      next += 1;
      const raw = lines[next];
      if (raw === undefined) {
        throw new UsageError(`${file}:${line}: the here-document ${word} has no end`);
      }
      const text = dash === "" ? raw : raw.replace(/^\t+/, "");
      if (text === word) break;
      body.push(text);
    }
    const text = body.map((one) => `${one}\n`).join("");
    documents.push({ name: word, expands: quote === "", text });
  }
  return { documents, next };
}

function isComment(raw: string, where: string): boolean {
  if (!/^\s*#/.test(raw)) return false;
  if (!/^\s*#\s*escape\s*=\s*[^\\\s]/i.test(raw)) return true;
  throw new UsageError(`${where}: only "\\" continues a line`);
}

/**
 * The blocks of code in a page, with what their fence says of them.
 *
 * After the language a fence may say: `file=NAME` (the block is this file of the page's folder),
 * `read-as=KIND` (what reads such a file), `run-by=PATH` (the test that runs the block instead),
 * `not-run="why"` and `not-called="why"`. A block of `text` is none of code.
 */
import { readFileSync } from "node:fs";

/** One block. */
export interface DocBlock {
  /** `PAGE:LINE` of its fence. */
  readonly at: string;
  readonly language: string;
  readonly code: string;
  readonly notes: Readonly<Partial<Record<Note, string>>>;
}

type Note = (typeof NOTES)[number];

const NOTES = ["file", "read-as", "run-by", "not-run", "not-called"] as const;
const FENCE = /^```([^\n]*)\n(.*?)^```$/gms;

/**
 * The blocks of the page at `path`, in their order.
 *
 * @throws Error for a fence without a language, or with a note that means nothing
 */
export function blocksOf(path: string, page: string): readonly DocBlock[] {
  const text = readFileSync(path, "utf8");
  return [...text.matchAll(FENCE)].map(({ index, 1: info = "", 2: code = "" }) => {
    const at = `${page}:${text.slice(0, index).split("\n").length}`;
    const [language = ""] = info.split(" ", 1);
    if (language === "") throw new Error(`${at}: the fence names no language; "text" is none`);
    return { at, language, code, notes: notesOf(info.slice(language.length), at) };
  });
}

function notesOf(info: string, at: string): DocBlock["notes"] {
  const notes: Partial<Record<Note, string>> = {};
  const rest = info.replace(/([a-z-]+)=(?:"([^"]*)"|(\S+))/g, (_all, name: string, ...values) => {
    const note = NOTES.find((known) => known === name);
    if (note === undefined) throw new Error(`${at}: a fence has no note "${name}"`);
    notes[note] = String(values[0] ?? values[1]);
    return "";
  });
  if (rest.trim() !== "") throw new Error(`${at}: "${rest.trim()}" is no note of a fence`);
  return notes;
}

/** Words, quotes and variables of Dockerfiles. */

/** What of a text cannot be read; `message` says why. */
export class WordsError extends Error {
  override readonly name = "WordsError";
}

/** The value of a variable; undefined when there is none of this name. */
export type ValueOf = (name: string) => string | undefined;

/** A word: no white space but in quotes and after a backslash. */
const WORD = /(?:\\.|"(?:\\.|[^"\\])*"|'[^']*'|["'].*|[^\s"'\\]|\\$)+/gs;
/** Parts of a word: in single quotes, in double quotes, bare. */
const PART = /'([^']*)'|"((?:\\.|[^"\\])*)"|(["'])|((?:\\.|[^"'\\]|\\$)+)/gs;
/** What is escaped, `$NAME`, `${NAME}`, `${NAME:-otherwise}`, `${NAME:+instead}`, or none of them. */
const VARIABLE =
  /\\(.)|\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:?)([-+])([^}]*))?\}|(\{[^}]*\}?))/gs;

/** The words of a text, quotes taken off and variables expanded but in single quotes. @throws WordsError */
export function wordsOf(text: string, valueOf: ValueOf): readonly string[] {
  return (text.match(WORD) ?? []).map((word) => unquoted(word, valueOf));
}

/** A text without its quotes and with its variables' values. @throws WordsError */
export function unquoted(text: string, valueOf: ValueOf): string {
  return text.replace(PART, (...found: readonly (string | undefined)[]) => {
    const [, single, double, open, bare] = found;
    if (open !== undefined) throw new WordsError(`a ${open} is not closed`);
    if (single !== undefined) return single;
    return expanded(double ?? bare ?? "", valueOf, double !== undefined);
  });
}

/**
 * A text with its variables' values; a backslash takes the meaning off what follows it, in double
 * quotes only off `"`, `$` and itself.
 */
export function expanded(text: string, valueOf: ValueOf, isQuoted = false): string {
  return text.replace(VARIABLE, (...found: readonly (string | undefined)[]) => {
    const [whole = "", escaped, plain, braced, colon, sign, other, broken] = found;
    if (escaped !== undefined) return isQuoted && !'"$\\'.includes(escaped) ? whole : escaped;
    if (broken !== undefined) throw new WordsError(`${whole} is no variable`);
    const value = valueOf(plain ?? braced ?? "");
    return chosen(value, { isEmptyNone: colon === ":", sign, other });
  });
}

/** The value, or what is written for when there is one (`+`) or none (`-`). */
function chosen(
  value: string | undefined,
  how: {
    readonly isEmptyNone: boolean;
    readonly sign: string | undefined;
    readonly other: string | undefined;
  },
): string {
  const { isEmptyNone, sign, other = "" } = how;
  const isThere = value !== undefined && !(isEmptyNone && value === "");
  if (sign === "+") return isThere ? other : "";
  return isThere || sign === undefined ? (value ?? "") : other;
}

/** As one word of the shell. */
export function shellQuoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/**
 * Patterns of files to leave out, as in a `.dockerignore`: the last one that fits decides, "!"
 * takes back in, "*" stops at "/", "**" does not. Source: docs.docker.com/build/concepts/context
 * (2025-06).
 */

/** Whether a path (relative, with "/") stays out. */
export type IsIgnored = (path: string) => boolean;

interface Rule {
  readonly pattern: RegExp;
  readonly takesBack: boolean;
}

/** The lines of a `.dockerignore`. */
export function linesOf(text: string): readonly string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
}

/** Reads patterns; what is below a folder that fits stays out with it. */
export function ignoring(patterns: readonly string[]): IsIgnored {
  const rules = patterns.map(ruleOf);
  return (path) => {
    let isOut = false;
    for (const { pattern, takesBack } of rules) if (pattern.test(path)) isOut = !takesBack;
    return isOut;
  };
}

/** Whether something of an ignored folder may be taken back in. */
export function mayTakeBack(patterns: readonly string[]): boolean {
  return patterns.some((pattern) => pattern.startsWith("!"));
}

function ruleOf(text: string): Rule {
  const takesBack = text.startsWith("!");
  const bare = (takesBack ? text.slice(1) : text).replace(/^\.?\//, "").replace(/\/+$/, "");
  let source = "";
  for (let at = 0; at < bare.length; at += 1) {
    const rest = bare.slice(at);
    if (rest.startsWith("**/")) {
      source += "(?:[^/]+/)*";
      at += 2;
    } else if (rest.startsWith("**")) {
      source += ".*";
      at += 1;
    } else if (rest.startsWith("*")) source += "[^/]*";
    else if (rest.startsWith("?")) source += "[^/]";
    else source += escaped(bare.charAt(at));
  }
  return { pattern: new RegExp(`^${source}(?:/|$)`), takesBack };
}

function escaped(character: string): string {
  return /[\w/-]/.test(character) ? character : `\\${character}`;
}

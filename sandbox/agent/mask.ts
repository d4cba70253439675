/**
 * Hides the values of secrets where a container prints them.
 *
 * A guard against printing one by accident, not a wall: whoever writes the code can print a value
 * in another form. Values are hidden line by line, since that is how output is read; short ones
 * are not, since they would hide half of everything and tell their length.
 */

/** Shorter values, and lines of values, are shown. */
export const MASKED_CHARACTERS_MIN = 8;
const MASK = "***";

/**
 * A function that puts `***` for every value in a text.
 *
 * Cost: one pass over the text for all values together.
 */
export function maskOf(values: readonly string[]): (text: string) => string {
  const lines = values.flatMap((value) => [value, ...value.split(/[\r\n]+/)]);
  const hidden = [...new Set(lines.map((line) => line.trim()))]
    .filter((line) => line.length >= MASKED_CHARACTERS_MIN)
    // Of two that begin alike the longer is found first.
    .toSorted((a, b) => b.length - a.length);
  if (hidden.length === 0) return (text) => text;
  const pattern = new RegExp(hidden.map((line) => escaped(line)).join("|"), "g");
  return (text) => text.replace(pattern, MASK);
}

/** A text as a pattern that finds just it. */
function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

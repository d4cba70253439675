/** Where in a value something is, for messages such as `args[0].cb is a function`. */

/** An array index, a property name, or (in an object) a piece of text used as it is. */
export type PathSegment = number | string | { readonly text: string };

const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;

/** The path as a user would write it in code: `args[0].rows["a b"]`. */
export function formatPath(label: string, path: readonly PathSegment[]): string {
  return label + path.map(formatSegment).join("");
}

function formatSegment(segment: PathSegment): string {
  if (typeof segment === "number") return `[${segment}]`;
  if (typeof segment === "object") return segment.text;
  return IDENTIFIER.test(segment) ? `.${segment}` : `[${JSON.stringify(segment)}]`;
}

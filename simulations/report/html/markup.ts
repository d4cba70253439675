/**
 * Markup that is safe by construction: whatever is put into a template is escaped, unless it
 * is markup itself. Serves HTML and SVG, in text and in quoted attributes.
 */

/** A piece of HTML or SVG. Made by `markup` only. */
export class Markup {
  readonly text: string;

  private constructor(text: string) {
    this.text = text;
  }

  /** @param text Written in this repository, never data. */
  static trusted(text: string): Markup {
    return new Markup(text);
  }
}

/** What a template takes; undefined leaves nothing. */
export type MarkupValue = string | number | Markup | readonly Markup[] | undefined;

/** A template of markup. Attribute values must stand in double quotes. */
export function markup(strings: TemplateStringsArray, ...values: readonly MarkupValue[]): Markup {
  const parts = strings.map((part, index) => part + textOf(values[index]));
  return Markup.trusted(parts.join(""));
}

/** A text in which nothing is markup, for element content and quoted attributes. */
export function escapeText(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");
}

function textOf(value: MarkupValue): string {
  if (value === undefined) return "";
  if (value instanceof Markup) return value.text;
  if (typeof value === "object") return value.map(({ text }) => text).join("\n");
  return escapeText(String(value));
}

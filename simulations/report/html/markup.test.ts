import fc from "fast-check";
import { expect, it } from "vitest";
import { escapeText, markup } from "./markup.ts";

it("escapes data in text and attributes, and leaves markup as it is", () => {
  const name = `<script>alert("x" & 'y')</script>`;
  const escaped = "&lt;script&gt;alert(&quot;x&quot; &amp; &#39;y&#39;)&lt;/script&gt;";
  const inner = markup`<b title="${name}">${name}</b>`;
  expect(markup`<p>${inner}${undefined}${7}</p>`.text).toBe(
    `<p><b title="${escaped}">${escaped}</b>7</p>`,
  );
});

it("joins lists of markup by line breaks", () => {
  expect(markup`${["a", "b"].map((text) => markup`<i>${text}</i>`)}`.text).toBe(
    "<i>a</i>\n<i>b</i>",
  );
});

it("lets nothing through that begins a tag or ends an attribute, and loses nothing", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom("<", ">", "&", '"', "'", "a", "é", ";", "#", "3", "lt") }),
      (text) => {
        const escaped = escapeText(text);
        expect(escaped).not.toMatch(/[<>"']/);
        expect(unescaped(escaped)).toBe(text);
      },
    ),
  );
});

function unescaped(text: string): string {
  return text
    .replaceAll("&#39;", "'")
    .replaceAll("&quot;", '"')
    .replaceAll("&gt;", ">")
    .replaceAll("&lt;", "<")
    .replaceAll("&amp;", "&");
}

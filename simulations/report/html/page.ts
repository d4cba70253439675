/** One page that holds all it needs: no other file, no network, and readable without script. */
import { markup, Markup } from "./markup.ts";
import { STYLE_SHEET } from "./palette.ts";
import { TOOLTIP_SCRIPT, TOOLTIP_SCRIPT_SHA256 } from "./tooltip-script.ts";

export interface Page {
  readonly title: string;
  /** A sentence or two below the title. */
  readonly opening: readonly string[];
  readonly body: readonly Markup[];
}

/** The text of the page. Its policy forbids every request and every script but its own. */
export function pageText({ title, opening, body }: Page): string {
  const policy =
    "default-src 'none'; style-src 'unsafe-inline'; " +
    `script-src 'sha256-${TOOLTIP_SCRIPT_SHA256}'; base-uri 'none'; form-action 'none'`;
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<style>${Markup.trusted(STYLE_SHEET)}</style>
</head>
<body>
<main>
<header class="top">
<h1>${title}</h1>
${opening.map((text) => markup`<p class="soft">${text}</p>`)}
</header>
${body}
</main>
<div id="tip" hidden></div>
<script>${Markup.trusted(TOOLTIP_SCRIPT)}</script>
</body>
</html>
`.text;
}

/** How a part is printed: on one sheet, over several, or so from the head of a new one. */
export type PrintFlow = "together" | "long" | "page";

const FLOW_CLASSES: Record<PrintFlow, string> = {
  together: "",
  long: "long",
  page: "long page",
};

/** A titled part of a page. */
export function section(
  title: string,
  parts: readonly Markup[],
  { note, flow = "together" }: { readonly note?: string; readonly flow?: PrintFlow } = {},
): Markup {
  return markup`<section class="${FLOW_CLASSES[flow]}">
<h2>${title}</h2>
${note === undefined ? undefined : markup`<p class="soft">${note}</p>`}
${parts}
</section>`;
}

/** A headline figure: what it is, the figure with its unit, and a line below. */
export function card(
  label: string,
  figure: string,
  detail: { unit?: string; below?: string },
): Markup {
  const unit = detail.unit === undefined ? undefined : markup` <small>${detail.unit}</small>`;
  return markup`<div class="card"><dt>${label}</dt>
<dd class="figure">${figure}${unit}</dd><dd class="soft">${detail.below ?? " "}</dd></div>`;
}

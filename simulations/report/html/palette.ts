/**
 * The page's style sheet: light and dark, screen and paper.
 *
 * Series colours are those of M. Okabe and K. Ito, Color Universal Design (2008), which
 * people with any common colour vision tell apart; where lines cross they also differ in
 * their dashes. Charts name their colours by these custom properties only.
 */

/** How many series have a colour of their own; a further one is drawn in `--series-rest`. */
export const SERIES_COLOR_COUNT = 7;

/** A series' colour, for `style`; indexes past the last colour are all alike. */
export function seriesColor(index: number): string {
  return index < SERIES_COLOR_COUNT ? `var(--series-${index})` : "var(--series-rest)";
}

const LIGHT = `
  color-scheme: light;
  --page: #f6f7f9; --panel: #ffffff; --text: #1b2430; --soft: #556070; --line: #d9dee5;
  --strong: #1b2430; --land: #e4e8ed; --accent: #0063a3; --stripe: #f6f8fa;
  --series-0: #0072b2; --series-1: #e69f00; --series-2: #009e73; --series-3: #cc79a7;
  --series-4: #56b4e9; --series-5: #d55e00; --series-6: #d9c700; --series-rest: #8b95a1;
  --busy: #0072b2; --warm: #56b4e9; --free: #9fdcc4; --boot: #d5dae0;`;

const DARK = `
  color-scheme: dark;
  --page: #11161d; --panel: #1a212b; --text: #e7ecf2; --soft: #a3aebb; --line: #344050;
  --strong: #ffffff; --land: #2a3441; --accent: #6cbcf5; --stripe: #1f2732;
  --series-0: #3d9bdc; --series-1: #f0b429; --series-2: #1fbf92; --series-3: #dd8fbb;
  --series-4: #8bcdf4; --series-5: #f07a2f; --series-6: #f0e442; --series-rest: #7c8794;
  --busy: #3d9bdc; --warm: #2b6c9c; --free: #2d7a63; --boot: #46525f;`;

/** The whole sheet; it names nothing outside the page. */
export const STYLE_SHEET = `
:root {${LIGHT}
}
@media (prefers-color-scheme: dark) { :root {${DARK}
} }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 28px 20px 48px; }
header.top { margin-bottom: 20px; }
h1 { font-size: 27px; line-height: 1.2; margin: 0 0 6px; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 0 0 2px; }
h3 { font-size: 14px; margin: 18px 0 6px; }
p { margin: 0 0 10px; max-width: 78ch; }
header.top p { max-width: none; margin-bottom: 4px; }
.soft, .note { color: var(--soft); font-size: 13px; }
.note { margin: 8px 0 0; }
section { background: var(--panel); border: 1px solid var(--line); border-radius: 10px;
  padding: 18px 20px; margin: 0 0 18px; }
.cards { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr));
  gap: 12px; margin: 0 0 18px; padding: 0; }
.card { background: var(--panel); border: 1px solid var(--line); border-radius: 10px;
  padding: 12px 14px; min-width: 0; }
.card dt { color: var(--soft); font-size: 13px; overflow-wrap: anywhere; }
.card dd { margin: 0; }
.card .figure { font-size: 25px; line-height: 1.25; font-weight: 650; color: var(--strong);
  font-variant-numeric: tabular-nums; }
.card .figure small { font-size: 14px; font-weight: 500; color: var(--soft); }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(240px, 1fr));
  gap: 4px 32px; }
figure { margin: 14px 0 0; }
figcaption { font-size: 13px; color: var(--soft); margin-bottom: 6px; }
.legend { display: flex; flex-wrap: wrap; gap: 3px 16px; list-style: none; padding: 0;
  margin: 8px 0 0; font-size: 13px; }
.legend li { display: flex; align-items: center; gap: 6px; min-width: 0;
  overflow-wrap: anywhere; }
.swatch { flex: none; width: 12px; height: 12px; border-radius: 3px; }
.swatch.line { height: 0; width: 20px; border-radius: 0; background: none;
  border-top: 2.5px solid; }
.swatch.hollow, .swatch.ring { border: 1.5px solid; border-radius: 50%; width: 10px; height: 10px; }
.swatch.ring { border-width: 2.5px; width: 14px; height: 14px; }
.swatch.square { width: 9px; height: 9px; border-radius: 1px; }
.swatch.diamond { width: 9px; height: 9px; border-radius: 1px; transform: rotate(45deg); }
.plot { position: relative; height: var(--height); margin: 0 8px 28px 56px; }
.plot svg { position: absolute; inset: 0; width: 100%; height: 100%; display: block;
  overflow: visible; }
.plot .tick { position: absolute; font-size: 11.5px; line-height: 1; color: var(--soft);
  white-space: nowrap; font-variant-numeric: tabular-nums; }
.plot .tick.y { right: calc(100% + 7px); transform: translateY(50%); }
.plot .tick.x { top: calc(100% + 9px); transform: translateX(-50%); }
.plot .tick.x.last { transform: translateX(-100%); }
.plot .dot { position: absolute; width: 10px; height: 10px; margin: 0 0 -5px -5px;
  border-radius: 50%; }
.plot .dot.hollow { width: 8px; height: 8px; margin: 0 0 -4px -4px; opacity: 0.75;
  background: none; border: 1.5px solid var(--soft); }
.plot .dot.held-out { border-radius: 1px; transform: rotate(45deg); width: 9px; height: 9px;
  margin: 0 0 -4.5px -4.5px; }
.plot .dot.base { border-radius: 1px; }
.plot .winner { position: absolute; width: 22px; height: 22px; margin: 0 0 -11px -11px;
  border: 2.5px solid var(--series-5); border-radius: 50%; }
.plot .name { position: absolute; font-size: 12px; white-space: nowrap; z-index: 1;
  text-shadow: 0 0 3px var(--panel), 0 0 3px var(--panel), 0 0 3px var(--panel); }
.grid { stroke: var(--line); stroke-width: 1; vector-effect: non-scaling-stroke; }
.grid.rule { stroke: var(--text); stroke-dasharray: 2 4; }
.stroke { fill: none; stroke-width: 2; vector-effect: non-scaling-stroke;
  stroke-linejoin: round; }
.hover rect { fill: transparent; }
.hover rect:hover { fill: var(--text); fill-opacity: 0.1; }
.tight figure + figure { margin-top: 12px; }
.map { display: block; width: 100%; height: auto; }
.map .land { fill: var(--land); }
.map line { stroke: var(--soft); stroke-width: 1; }
.map circle { fill-opacity: 0.86; stroke: var(--panel); stroke-width: 1; }
.map text { font-size: 11px; font-weight: 650; fill: var(--strong); text-anchor: middle;
  paint-order: stroke; stroke: var(--panel); stroke-width: 3px; }
.scroll { overflow-x: auto; margin: 10px 0 0; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px;
  font-variant-numeric: tabular-nums; }
th, td { padding: 5px 10px; text-align: right; border-bottom: 1px solid var(--line);
  vertical-align: baseline; }
thead th { font-weight: 600; border-bottom: 2px solid var(--line); vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; padding-left: 4px; }
tbody th { font-weight: 400; overflow-wrap: anywhere; min-width: 9.5em; }
th.words, td.words { text-align: left; }
td.settings { min-width: 15em; }
tr.group th { padding-top: 14px; font-weight: 650; text-align: left; }
tr.marked > * { background: var(--stripe); font-weight: 650; }
td.first { font-weight: 650; }
.range { display: block; color: var(--soft); font-size: 12px; font-weight: 400;
  white-space: nowrap; }
.bar { display: block; height: 6px; border-radius: 3px; background: var(--accent);
  margin-top: 3px; min-width: 1px; }
details summary { cursor: pointer; color: var(--accent); font-size: 13.5px; margin-top: 10px; }
dl.terms { display: grid; grid-template-columns: max-content 1fr; gap: 4px 16px;
  font-size: 13.5px; margin: 8px 0 0; }
dl.terms dt { font-weight: 600; }
dl.terms dd { margin: 0; }
#tip { position: fixed; z-index: 9; pointer-events: none; background: var(--text);
  color: var(--panel); font-size: 12.5px; line-height: 1.45; padding: 7px 10px;
  border-radius: 6px; white-space: pre; max-width: 92vw; overflow: hidden;
  font-variant-numeric: tabular-nums; }
@media (max-width: 640px) {
  main { padding: 16px 10px 32px; }
  section { padding: 14px 12px; }
  h1 { font-size: 22px; }
  .cards { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 8px; }
  .card .figure { font-size: 20px; }
  .plot { margin-left: 44px; }
  .map text { font-size: 19px; stroke-width: 5px; }
  th, td { padding: 5px 6px; }
  dl.terms { grid-template-columns: 1fr; gap: 0; }
  dl.terms dd { margin-bottom: 8px; }
}
@media print {
  :root {${LIGHT}
    --page: #ffffff; --soft: #333c47; --line: #b4bcc6; }
  @page { margin: 14mm; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { font-size: 11pt; }
  main { max-width: none; padding: 0; }
  section { border-radius: 0; break-inside: avoid; padding: 10px 14px; margin-bottom: 12px; }
  .card { border-radius: 0; padding: 8px 10px; }
  section.long { break-inside: auto; }
  figure, tr, .card { break-inside: avoid; }
  h2, h3, thead, section > .soft, tr.group { break-after: avoid; }
  .plot { height: calc(var(--height) * 0.7); }
  .scroll { overflow: visible; }
  table { font-size: 9pt; }
  th, td { padding: 2px 6px; }
  .card .figure { font-size: 15pt; }
  section.page { break-before: page; }
  .map text { font-size: 17px; }
  #tip, details { display: none; }
}
`;

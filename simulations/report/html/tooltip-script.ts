/**
 * The page's only script: shows what a chart's `<title>` says at once, beside the pointer.
 * Without it browsers show the same text after a moment.
 */

/** The script, as it stands in the page. */
export const TOOLTIP_SCRIPT = `
const tip = document.getElementById("tip");
let shown = null;
function textOf(mark) {
  const title = mark.querySelector(":scope > title");
  if (title) { mark.dataset.tip = title.textContent; title.remove(); }
  return mark.dataset.tip;
}
function hide() { shown = null; tip.hidden = true; }
document.addEventListener("pointermove", (event) => {
  const mark = event.target instanceof Element ? event.target.closest("[data-tip]") : null;
  if (!mark) return hide();
  if (mark !== shown) { shown = mark; tip.textContent = textOf(mark); tip.hidden = false; }
  const box = tip.getBoundingClientRect();
  const left = event.clientX + 14 + box.width > innerWidth
    ? event.clientX - 14 - box.width : event.clientX + 14;
  tip.style.left = Math.max(4, left) + "px";
  tip.style.top = Math.max(4, Math.min(event.clientY + 14, innerHeight - box.height - 4)) + "px";
});
document.addEventListener("pointerleave", hide);
document.addEventListener("scroll", hide, { passive: true });
`;

/** SHA-256 of the script in base64: the page's policy lets no other script run. */
export const TOOLTIP_SCRIPT_SHA256 = "W5b9NvCyW1rv9YIZS7bH0tgAT9L9OhRA5DIZEhqcm/w=";

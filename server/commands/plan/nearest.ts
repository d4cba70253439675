/** Hints for names that are not known: ids and places are longer than words. */
import { nearestWord } from "../../../documents/index.ts";

const SHOWN_MAX = 4;

/**
 * ` (did you mean a, b?)`: the nearest name by edits, else those that share most of its parts
 * (between slashes and dots), else nothing. O(names).
 */
export function nearest(wrong: string, names: readonly string[]): string {
  const word = nearestWord(wrong, names);
  const near = word === undefined ? sharingParts(wrong, names) : [word];
  return near.length === 0 ? "" : ` (did you mean ${near.join(", ")}?)`;
}

function sharingParts(wrong: string, names: readonly string[]): readonly string[] {
  const parts = partsOf(wrong);
  const scored = names.flatMap((name) => {
    const own = new Set(partsOf(name));
    const score = parts.filter((part) => own.has(part)).length;
    return score > 0 ? [{ name, score }] : [];
  });
  const most = Math.max(0, ...scored.map(({ score }) => score));
  return scored
    .filter(({ score }) => score === most)
    .slice(0, SHOWN_MAX)
    .map(({ name }) => name);
}

function partsOf(name: string): readonly string[] {
  return name
    .toLowerCase()
    .split(/[/.]/)
    .filter((part) => part !== "" && part !== "*");
}

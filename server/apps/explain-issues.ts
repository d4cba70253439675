const ISSUES_SHOWN_MAX = 5;

/** One thing that is wrong with a value: where, and what. */
export interface Issue {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** One sentence that names every wrong field (the first five): `doing: a[0].b: why; …`. */
export function explainIssues(doing: string, issues: readonly Issue[]): string {
  const shown = issues.slice(0, ISSUES_SHOWN_MAX).map(({ path, message }) => {
    const where = pathText(path);
    return where === "" ? message : `${where}: ${message}`;
  });
  const hidden = issues.length - shown.length;
  return `${doing}: ${shown.join("; ")}${hidden > 0 ? `; and ${hidden} more` : ""}`;
}

/** `functions[0].spec.gpu`. */
function pathText(path: readonly PropertyKey[]): string {
  let text = "";
  for (const key of path) {
    if (typeof key === "number") text += `[${key}]`;
    else text += `${text === "" ? "" : "."}${String(key).slice(0, 80)}`;
  }
  return text;
}

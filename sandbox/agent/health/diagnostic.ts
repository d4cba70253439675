/**
 * `dcgmi diag`: the deeper test of a machine's GPUs, where DCGM is installed.
 *
 * Source of the shape: DCGM's own diagnostic output, `--json`, of versions 3 (`DCGM GPU
 * Diagnostic`, `gpu_ids`) and 4 (`DCGM Diagnostic`, `entity_id`), read 2026-11.
 */

/** The short run of DCGM: software, and a look at each GPU; it disturbs nobody. */
export const DIAGNOSTIC_ARGS: readonly string[] = ["diag", "-r", "1", "-j"];

/**
 * Tests that failed, as texts for people; undefined when the output is none of a diagnostic.
 * Warnings and skipped tests are no failures.
 */
export function parseDiagnostic(output: string): readonly string[] | undefined {
  const start = output.indexOf("{");
  const end = output.lastIndexOf("}");
  if (start < 0 || end < start) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(output.slice(start, end + 1));
  } catch {
    // Cut off, or not JSON at all: says nothing of the machine.
    return undefined;
  }
  const root = fieldOf(parsed, "DCGM GPU Diagnostic") ?? fieldOf(parsed, "DCGM Diagnostic");
  const categories = fieldOf(root, "test_categories");
  if (!Array.isArray(categories)) return undefined;
  return categories
    .flatMap((category) => listIn(category, "tests"))
    .flatMap((test) =>
      listIn(test, "results")
        .filter((result) => textIn(result, "status").toLowerCase() === "fail")
        .map((result) => failureText(textIn(test, "name"), result)),
    );
}

function failureText(test: string, result: unknown): string {
  const gpu = textIn(result, "gpu_id") || textIn(result, "gpu_ids") || textIn(result, "entity_id");
  const where = gpu === "" ? "" : ` on GPU ${gpu}`;
  const [first] = listIn(result, "warnings");
  const warning =
    textIn(first, "warning") || textIn(result, "warnings") || textIn(result, "info") || "failed";
  return `dcgmi ${test}${where}: ${warning}`;
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null
    ? new Map<string, unknown>(Object.entries(value)).get(name)
    : undefined;
}

function listIn(value: unknown, name: string): readonly unknown[] {
  const list = fieldOf(value, name);
  return Array.isArray(list) ? list : [];
}

function textIn(value: unknown, name: string): string {
  const text = fieldOf(value, name);
  return typeof text === "string" || typeof text === "number" ? String(text) : "";
}

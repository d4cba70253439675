/** Functions whose code is Python: what their options say about it. */
import { UsageError } from "./errors.ts";
import type { WrittenSpec } from "./written-spec.ts";

/** The options of a Python function: those of any function, and where its code is. */
export interface PythonSpec extends Omit<WrittenSpec, "python" | "batched"> {
  readonly runtime: "python";
  /**
   * A Python file, or a folder of modules; relative to the TypeScript file that is run or
   * deployed. Of a single file, only that file goes into the container.
   */
  readonly source: string;
  /**
   * The function in it: `predict`, or a method of a class that is made once in each container:
   * `Model.predict`. In a folder without `__init__.py`, with its module: `serve:predict`.
   */
  readonly handler: string;
  /**
   * What inputs run in, up to `maxConcurrentInputs` at once: threads of one process, or processes
   * that are forked from one that has loaded the code. Default `threads`; `async def` handlers
   * need neither.
   */
  readonly workers?: "threads" | "processes";
}

/** The Python half of a `PythonSpec`. */
export type PythonSource = Pick<PythonSpec, "source" | "handler" | "workers">;

/** Where the code of a function with a URL is, when that is Python. */
export type PythonCodeSpec = Pick<PythonSpec, "runtime" | "source" | "handler">;

/** `predict`, `Model.predict`, `serve:predict`, `parts.serve:Model.predict`. */
const HANDLER = /^(?:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:)?[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)?$/;

/** Whether options are those of a Python function. */
export function isPythonSpec(spec: WrittenSpec | PythonSpec): spec is PythonSpec {
  return typeof spec === "object" && "runtime" in spec;
}

/**
 * Parts a `PythonSpec` into what every function has and what is Python's.
 *
 * @throws UsageError naming the option that is wrong.
 */
export function splitPythonSpec(spec: PythonSpec): {
  readonly common: WrittenSpec;
  readonly python: PythonSource;
} {
  const { runtime, source, handler, workers, ...common } = spec;
  const given: Readonly<Record<string, unknown>> = { runtime, source, handler, workers };
  if (given["runtime"] !== "python") {
    throw new UsageError(
      `runtime must be "python", or be left out for TypeScript, got ${JSON.stringify(runtime)}`,
    );
  }
  if ("batched" in common) {
    throw new UsageError(
      "a Python function cannot be batched: batched is for functions of TypeScript",
    );
  }
  if (typeof given["source"] !== "string" || source === "") {
    throw new UsageError('source must be the path of a Python file or folder, such as "model.py"');
  }
  if (typeof given["handler"] !== "string" || !HANDLER.test(handler)) {
    throw new UsageError(
      `handler must name a Python function, such as "predict", "Model.predict" or ` +
        `"serve:predict", got ${JSON.stringify(handler)}`,
    );
  }
  if (![undefined, "threads", "processes"].includes(given["workers"] as undefined)) {
    throw new UsageError(
      `workers must be "threads" or "processes", got ${JSON.stringify(given["workers"])}`,
    );
  }
  return { common, python: { source, handler, ...(workers === undefined ? {} : { workers }) } };
}

/** The part of a handler that names the function: what it is called unless its spec says so. */
export function handlerName(handler: string): string {
  return handler.slice(handler.lastIndexOf(":") + 1);
}

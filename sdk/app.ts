import type { Client } from "./client/client.ts";
import { CallTarget } from "./call-target.ts";
import { UsageError } from "./errors.ts";
import { AppFunction, RemoteFunction } from "./function.ts";
import type { FunctionSpec } from "./protocol/spec.ts";
import {
  handlerName,
  isPythonSpec,
  splitPythonSpec,
  type PythonSource,
  type PythonSpec,
} from "./python-function.ts";
import { registerApp, type AppRecord, type FunctionBinding, type Handler } from "./registry.ts";
import { validateAppName, validateSpec } from "./validate-spec.ts";

export interface AppOptions {
  /** How to reach the server; by default as the environment says. */
  readonly client?: Client;
}

/**
 * A named group of functions that are deployed together.
 *
 * @example
 * const app = new App("square");
 * export const square = app.function({ gpu: "H100" }, (x: number) => x * x);
 * app.localEntrypoint(async () => console.log(await square.remote(7)));
 */
export class App {
  readonly name: string;
  readonly #record: AppRecord;
  readonly #client: Client | undefined;

  /** Defines an app, or more of one defined before. @throws UsageError on a wrong name. */
  constructor(name: string, options: AppOptions = {}) {
    validateAppName(name);
    this.name = name;
    this.#client = options.client;
    this.#record = registerApp(name);
  }

  /**
   * Finds a deployed function, from any process.
   *
   * @example
   * const square = await App.lookup<[number], number>("square", "square");
   * @throws NotFoundError when there is no such app or function.
   */
  static async lookup<Args extends unknown[] = unknown[], Result = unknown>(
    appName: string,
    functionName: string,
    options: AppOptions = {},
  ): Promise<RemoteFunction<Args, Result>> {
    const binding: FunctionBinding = { name: functionName, functionId: undefined };
    const target = new CallTarget({ app: appName, binding, client: options.client });
    await target.find();
    return new RemoteFunction<Args, Result>(target);
  }

  /**
   * Defines a function of Python: what it needs, and where its code is. Arguments and result
   * are typed by hand; docs/python.md says what each value is on the other side.
   *
   * @example
   * const predict = app.function<[text: string], Float32Array>({
   *   runtime: "python",
   *   source: "model.py",
   *   handler: "predict",
   * });
   * @throws UsageError naming the option that is wrong.
   */
  function<Args extends unknown[] = unknown[], Result = unknown>(
    spec: PythonSpec,
  ): RemoteFunction<Args, Result>;
  /**
   * Defines a function: what it needs, and its code. It is deployed under `spec.name`, else the
   * name of the export that holds it, else the code's own name.
   *
   * @throws UsageError naming the option that is wrong.
   */
  function<Args extends unknown[], Result>(
    spec: FunctionSpec,
    handler: (...args: Args) => Result,
  ): AppFunction<Args, Result>;
  function(spec: FunctionSpec | PythonSpec, handler?: Handler): RemoteFunction {
    if (isPythonSpec(spec)) return this.#pythonFunction(spec, handler);
    validateSpec(spec);
    if (typeof handler !== "function") {
      throw new UsageError("app.function(spec, fn) needs the function's code as second argument");
    }
    return this.#define(spec, handler);
  }

  #pythonFunction(spec: PythonSpec, handler: Handler | undefined): RemoteFunction {
    if (handler !== undefined) {
      throw new UsageError("a Python function has its code in `source`, not as second argument");
    }
    const { common, python } = splitPythonSpec(spec);
    validateSpec(common);
    const name = handlerName(python.handler);
    const refuse = (): never => {
      throw new UsageError(`${name} is Python, which runs in containers only: use .remote()`);
    };
    return this.#define(common, Object.defineProperty(refuse, "name", { value: name }), python);
  }

  #define(spec: FunctionSpec, handler: Handler, python?: PythonSource): AppFunction {
    const binding: FunctionBinding = {
      name: spec.name ?? (handler.name === "" ? undefined : handler.name),
      functionId: undefined,
    };
    const target = new CallTarget({ app: this.name, binding, client: this.#client });
    const facade = new AppFunction(target, spec, handler as (...args: unknown[]) => unknown);
    const code = python === undefined ? {} : { python };
    this.#record.functions.push({ spec, handler, facade, binding, ...code });
    return facade;
  }

  /**
   * Marks what `flotilla run FILE` runs on this machine; its arguments are those of the command
   * line. Gives the function back, so that it can be exported and called.
   */
  localEntrypoint<Entrypoint extends Handler>(entrypoint: Entrypoint): Entrypoint {
    if (typeof entrypoint !== "function") {
      throw new UsageError("app.localEntrypoint(fn) needs a function");
    }
    this.#record.entrypoints.push(entrypoint);
    return entrypoint;
  }
}

import type { Client } from "./client/client.ts";
import { CallTarget } from "./call-target.ts";
import {
  AppClass,
  functionSpecOf,
  programOf,
  RemoteClass,
  type ClassSpec,
  type Constructor,
  type HookName,
} from "./class.ts";
import { UsageError } from "./errors.ts";
import { AppFunction, RemoteFunction } from "./function.ts";
import { handlerName, isPythonSpec, splitPythonSpec, type PythonSpec } from "./python-function.ts";
import {
  registerApp,
  type AppRecord,
  type FunctionBinding,
  type Handler,
  type UserProgram,
} from "./registry.ts";
import { validateAppName, validateSpec } from "./validate-spec.ts";
import type { WrittenSpec } from "./written-spec.ts";

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
    return new RemoteFunction<Args, Result>(await findTarget(appName, functionName, options));
  }

  /**
   * Finds a deployed class, from any process; its types come from the class's own.
   *
   * @example
   * import type { Greeter } from "./greeter.ts"; // export const Greeter = app.cls(...)
   * const greeter = await App.lookupClass<typeof Greeter>("hello", "Greeter");
   * @throws NotFoundError when there is no such app or class.
   */
  static async lookupClass<Class extends RemoteClass<never> = RemoteClass<never>>(
    appName: string,
    className: string,
    options: AppOptions = {},
  ): Promise<RemoteOf<Class>> {
    return new RemoteClass(await findTarget(appName, className, options)) as RemoteOf<Class>;
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
    spec: WrittenSpec,
    handler: (...args: Args) => Result,
  ): AppFunction<Args, Result>;
  function(spec: WrittenSpec | PythonSpec, handler?: Handler): RemoteFunction {
    if (isPythonSpec(spec)) return this.#pythonFunction(spec, handler);
    validateSpec(spec);
    if (typeof handler !== "function") {
      throw new UsageError("app.function(spec, fn) needs the function's code as second argument");
    }
    const binding = bindingOf(spec, handler.name);
    const target = new CallTarget({ app: this.name, binding, client: this.#client });
    const facade = new AppFunction(target, spec, handler as Program);
    const program = (): UserProgram => ({
      construct: () => undefined,
      enter: () => Promise.resolve(),
      handler: handler as Program,
      exits: [],
    });
    this.#record.functions.push({ spec, codeName: handler.name, program, facade, binding });
    return facade;
  }

  #pythonFunction(spec: PythonSpec, handler: Handler | undefined): RemoteFunction {
    if (handler !== undefined) {
      throw new UsageError("a Python function has its code in `source`, not as second argument");
    }
    const { common, python } = splitPythonSpec(spec);
    validateSpec(common);
    const codeName = handlerName(python.handler);
    const binding = bindingOf(common, codeName);
    const target = new CallTarget({ app: this.name, binding, client: this.#client });
    const refuse = (): never => {
      throw new UsageError(`${codeName} is Python, which runs in containers only: use .remote()`);
    };
    const facade = new AppFunction(target, common, refuse);
    const record = { spec: common, codeName, program: refuse, facade, binding, python };
    this.#record.functions.push(record);
    return facade;
  }

  /**
   * Defines a class: what it needs, its hooks, and its code. One instance lives in each
   * container, made once with its parameters; all its methods but the hooks can be called.
   *
   * @example
   * export const Greeter = app.cls(
   *   { enter: { load: { snapshot: true } }, exit: ["close"] },
   *   class {
   *     constructor(readonly language: string) {}
   *     load() { ... }
   *     greet(name: string) { ... }
   *     close() { ... }
   *   },
   * );
   * @throws UsageError naming the option or hook that is wrong.
   */
  cls<
    Params extends unknown[],
    Instance extends object,
    Enter extends HookName<Instance> = never,
    Exit extends HookName<Instance> = never,
  >(
    spec: ClassSpec<Enter, Exit>,
    type: Constructor<Params, Instance>,
  ): AppClass<Params, Instance, Enter | Exit> {
    if (typeof type !== "function") {
      throw new UsageError("app.cls(spec, class) needs the class as second argument");
    }
    const functionSpec = functionSpecOf(spec, type);
    validateSpec(functionSpec);
    const binding = bindingOf(spec, type.name);
    const target = new CallTarget({ app: this.name, binding, client: this.#client });
    const facade = new AppClass(target, spec, type);
    const program = (): UserProgram => programOf(type, spec);
    const record = { spec: functionSpec, codeName: type.name, program, facade, binding };
    this.#record.functions.push(record);
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

type Program = (...args: unknown[]) => unknown;

/** What `lookupClass` gives for the type of a class: the same without `local`. */
type RemoteOf<Class> =
  Class extends RemoteClass<infer Params, infer Instance, infer Hook>
    ? RemoteClass<Params, Instance, Hook>
    : never;

function bindingOf({ name }: WrittenSpec, codeName: string): FunctionBinding {
  return { name: name ?? (codeName === "" ? undefined : codeName), functionId: undefined };
}

async function findTarget(app: string, name: string, { client }: AppOptions): Promise<CallTarget> {
  const target = new CallTarget({ app, binding: { name, functionId: undefined }, client });
  await target.find();
  return target;
}

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
import type { FunctionSpec } from "./protocol/spec.ts";
import {
  registerApp,
  type AppRecord,
  type FunctionBinding,
  type Handler,
  type UserProgram,
} from "./registry.ts";
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
   * Defines a function: what it needs, and its code. It is deployed under `spec.name`, else the
   * name of the export that holds it, else the code's own name.
   *
   * @throws UsageError naming the option that is wrong.
   */
  function<Args extends unknown[], Result>(
    spec: FunctionSpec,
    handler: (...args: Args) => Result,
  ): AppFunction<Args, Result> {
    validateSpec(spec);
    if (typeof handler !== "function") {
      throw new UsageError("app.function(spec, fn) needs the function's code as second argument");
    }
    const binding = bindingOf(spec, handler.name);
    const target = new CallTarget({ app: this.name, binding, client: this.#client });
    const facade = new AppFunction(target, spec, handler);
    const program = (): UserProgram => ({
      construct: () => undefined,
      enter: () => Promise.resolve(),
      handler: handler as (...args: unknown[]) => unknown,
      exits: [],
    });
    this.#record.functions.push({ spec, codeName: handler.name, program, facade, binding });
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

/** What `lookupClass` gives for the type of a class: the same without `local`. */
type RemoteOf<Class> =
  Class extends RemoteClass<infer Params, infer Instance, infer Hook>
    ? RemoteClass<Params, Instance, Hook>
    : never;

function bindingOf({ name }: FunctionSpec, codeName: string): FunctionBinding {
  return { name: name ?? (codeName === "" ? undefined : codeName), functionId: undefined };
}

async function findTarget(app: string, name: string, { client }: AppOptions): Promise<CallTarget> {
  const target = new CallTarget({ app, binding: { name, functionId: undefined }, client });
  await target.find();
  return target;
}

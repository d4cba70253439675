import {
  gatherer,
  runAlone,
  type BatchedSpec,
  type BatchResults,
  type ItemsOf,
  type Lists,
  type ResultOf,
} from "./batched.ts";
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
import type { CronSchedule, PeriodSchedule } from "./protocol/schedule.ts";
import {
  handlerName,
  isPythonSpec,
  splitPythonSpec,
  type PythonSource,
  type PythonSpec,
} from "./python-function.ts";
import {
  registerApp,
  type AppRecord,
  type FunctionBinding,
  type FunctionRecord,
  type Handler,
  type UserProgram,
} from "./registry.ts";
import { validateAppName, validateSpec } from "./validate-spec.ts";
import {
  checkPort,
  commandOf,
  SERVER_CONCURRENT_INPUTS,
  splitWebPython,
  splitWebSpec,
  WebEndpoint,
  WebFunction,
  type PythonWebEndpointSpec,
  type PythonWebServerSpec,
  type RequestHandler,
  type ServerStart,
  type WebEndpointSpec,
  type WebServerSpec,
} from "./web.ts";
import {
  cronSchedule,
  periodSchedule,
  type CronOptions,
  type PeriodOptions,
  type SpecFor,
} from "./schedule.ts";
import type { WrittenSpec } from "./written-spec.ts";

export interface AppOptions {
  /** How to reach the server; by default as the environment says. */
  readonly client?: Client;
}

/** How something that is deployed is looked up. */
export interface LookupOptions extends AppOptions {
  /** Gives up the look-up when it aborts, with its reason. */
  readonly signal?: AbortSignal;
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
    options: LookupOptions = {},
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
    options: LookupOptions = {},
  ): Promise<RemoteOf<Class>> {
    return new RemoteClass(await findTarget(appName, className, options)) as RemoteOf<Class>;
  }

  /**
   * Defines a function of Python: what it needs, and where its code is. Arguments and result
   * are typed by hand, the result of a generator as `Generator`; docs/python.md says what each
   * value is on the other side.
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
   * Defines a batched function: its code takes one list per argument, with an element for each
   * input, and returns a list with each input's result; an `Error` in it fails that input alone.
   * Callers call it with single values.
   *
   * @example
   * export const embed = app.function(
   *   { batched: { maxBatchSize: 32, waitMs: 50 } },
   *   async (texts: string[]) => model.embed(texts),
   * );
   * const vector = await embed.remote("one text");
   * @throws UsageError naming the option that is wrong.
   */
  function<Given extends Lists, Returned extends BatchResults>(
    spec: BatchedSpec,
    handler: (...lists: Given) => Returned,
  ): AppFunction<ItemsOf<Given>, Promise<ResultOf<Returned>>>;
  /**
   * Defines a function: what it needs, and its code. It is deployed under `spec.name`, else the
   * name of the export that holds it, else the code's own name.
   *
   * @throws UsageError naming the option that is wrong.
   */
  function<Args extends unknown[], Result>(
    spec: SpecFor<Args>,
    handler: (...args: Args) => Result,
  ): AppFunction<Args, Result>;
  function(spec: WrittenSpec | PythonSpec, handler?: Handler): RemoteFunction {
    if (isPythonSpec(spec)) return this.#pythonFunction(spec, handler);
    validateSpec(spec);
    if (typeof handler !== "function") {
      throw new UsageError("app.function(spec, fn) needs the function's code as second argument");
    }
    refuseScheduledArguments(spec, handler);
    const binding = bindingOf(spec, handler.name);
    const target = new CallTarget({ app: this.name, binding, client: this.#client });
    const code = handler as Program;
    const { batched } = spec;
    const local: Program = batched === undefined ? code : (...args) => runAlone(code, args);
    const facade = new AppFunction(target, spec, local);
    const program = (): UserProgram => ({
      construct: () => undefined,
      enter: () => Promise.resolve(),
      handler: batched === undefined ? code : gatherer(code, batched),
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
   * Defines a function that answers HTTP requests at a URL of its own; docs/web.md says what a
   * request goes through. The request's `signal` aborts when its client goes.
   *
   * @example
   * export const greet = app.webEndpoint({ method: "POST" }, async (request) => {
   *   const { name } = await request.json();
   *   return Response.json({ text: `Hello ${name}` });
   * });
   * @throws UsageError naming the option that is wrong.
   */
  webEndpoint(spec: PythonWebEndpointSpec): WebFunction;
  webEndpoint(spec: WebEndpointSpec, handler: RequestHandler): WebEndpoint;
  webEndpoint(
    given: WebEndpointSpec | PythonWebEndpointSpec,
    handler?: RequestHandler,
  ): WebFunction {
    const { rest: spec, python } = splitWebPython(given);
    const { common, web } = splitWebSpec(spec);
    validateSpec(common);
    refuseBatched(common);
    if (web.port !== undefined) {
      throw new UsageError("a web endpoint has no port: use app.webServer");
    }
    if (python !== undefined) return this.#pythonWeb({ ...common, web }, python, handler);
    if (typeof handler !== "function") {
      throw new UsageError(
        "app.webEndpoint(spec, fn) needs the function's code as second argument",
      );
    }
    const program = (): UserProgram => ({
      construct: () => undefined,
      enter: () => Promise.resolve(),
      handler: handler as Program,
      exits: [],
      isWeb: true,
    });
    const { target, record } = this.#webRecord({ ...common, web }, handler.name, program);
    const facade = new WebEndpoint(target, spec, handler);
    this.#record.functions.push({ ...record, facade });
    return facade;
  }

  /**
   * Defines an HTTP server of any kind that runs in containers at a URL of its own, WebSockets
   * included. `start` makes it listen on `port`: a function that runs once in each container, or
   * a program and its arguments. A container is ready when the port is open. docs/web.md.
   *
   * @example
   * export const site = app.webServer({ port: 8000, path: "/" }, () => {
   *   createServer((request, response) => response.end("hello")).listen(8000);
   * });
   * @throws UsageError naming the option that is wrong.
   */
  webServer(spec: PythonWebServerSpec): WebFunction;
  webServer(spec: WebServerSpec, start: ServerStart): WebFunction;
  webServer(given: WebServerSpec | PythonWebServerSpec, start?: ServerStart): WebFunction {
    const { rest: spec, python } = splitWebPython(given);
    const { common, web } = splitWebSpec(spec);
    validateSpec(common);
    refuseBatched(common);
    checkPort(web.port);
    const maxConcurrentInputs = common.maxConcurrentInputs ?? SERVER_CONCURRENT_INPUTS;
    const written = { ...common, maxConcurrentInputs, web };
    if (python !== undefined) return this.#pythonWeb(written, python, start);
    const command = commandOf(start);
    const { port } = spec;
    const program = (): UserProgram => ({
      construct: () => undefined,
      enter: async (snapshot) => {
        if (!snapshot && typeof start === "function") await start();
      },
      handler: () => undefined,
      exits: [],
      isWeb: true,
      server: command === undefined ? { port } : { port, command },
    });
    const { target, record } = this.#webRecord(written, "", program);
    const facade = new WebFunction(target, spec);
    this.#record.functions.push({ ...record, facade });
    return facade;
  }

  #pythonWeb(spec: WrittenSpec, python: PythonSource, code: unknown): WebFunction {
    if (code !== undefined) {
      throw new UsageError("a Python function has its code in `source`, not as second argument");
    }
    const codeName = handlerName(python.handler);
    const refuse = (): never => {
      throw new UsageError(`${codeName} is Python, which runs in containers only: ask its URL`);
    };
    const { target, record } = this.#webRecord(spec, codeName, refuse);
    const facade = new WebFunction(target, spec);
    this.#record.functions.push({ ...record, facade, python });
    return facade;
  }

  #webRecord(
    spec: WrittenSpec,
    codeName: string,
    program: () => UserProgram,
  ): { readonly target: CallTarget; readonly record: Omit<FunctionRecord, "facade"> } {
    const binding = bindingOf(spec, codeName);
    const target = new CallTarget({ app: this.name, binding, client: this.#client });
    return { target, record: { spec, codeName, program, binding } };
  }

  /**
   * A schedule by a cron expression of five fields, or `@hourly`, `@daily`, `@weekly`, `@monthly`
   * or `@yearly`, in UTC or the time zone that is given. docs/scheduling.md says what happens when
   * clocks change and when the platform was away.
   *
   * @example
   * export const report = app.function(
   *   { schedule: app.cron("0 7 * * 1-5", { timezone: "Europe/Berlin" }) },
   *   async () => { ... },
   * );
   * @throws UsageError naming what is wrong.
   */
  cron(expression: string, options: CronOptions = {}): CronSchedule {
    return cronSchedule(expression, options);
  }

  /**
   * A schedule that runs again after the same time: `app.period({ minutes: 5 })`. It counts from
   * when the function was first deployed with it, and goes on so over deployments.
   *
   * @throws UsageError naming what is wrong.
   */
  period(options: PeriodOptions): PeriodSchedule {
    return periodSchedule(options);
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

function refuseScheduledArguments({ schedule }: WrittenSpec, handler: Handler): void {
  if (schedule === undefined || handler.length === 0) return;
  throw new UsageError(
    `a function with a schedule is called without arguments, and this one needs ${handler.length}: ` +
      "give them defaults, or write another function that calls it",
  );
}

function refuseBatched({ batched }: WrittenSpec): void {
  if (batched === undefined) return;
  throw new UsageError("a function with a URL cannot be batched: let it call one that is");
}

function bindingOf({ name }: WrittenSpec, codeName: string): FunctionBinding {
  return { name: name ?? (codeName === "" ? undefined : codeName), functionId: undefined };
}

async function findTarget(
  app: string,
  name: string,
  { client, signal }: LookupOptions,
): Promise<CallTarget> {
  const target = new CallTarget({ app, binding: { name, functionId: undefined }, client });
  await target.find(signal);
  return target;
}

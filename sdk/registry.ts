/**
 * The apps defined in this process, shared by every copy of the SDK in it.
 *
 * A bundle carries its own copy of the SDK; the command line and the container's runner carry
 * another or none. They meet at two well-known keys of `globalThis`: `flotilla.apps`, a map
 * from name to `AppRecord`, and `flotilla.runtime`, the `RuntimeHook` by which a runner finds
 * the code of a function.
 */
import { hintFor } from "./did-you-mean.ts";
import { UsageError } from "./errors.ts";
import type { PythonSource } from "./python-function.ts";
import { validateFunctionName } from "./validate-spec.ts";
import type { WrittenSpec } from "./written-spec.ts";

const APPS_KEY: unique symbol = Symbol.for("flotilla.apps");
const RUNTIME_KEY: unique symbol = Symbol.for("flotilla.runtime");

/** User code: any function. */
export type Handler = (...args: never[]) => unknown;

/** An app as defined by the user's module. */
export interface AppRecord {
  readonly name: string;
  readonly functions: FunctionRecord[];
  readonly entrypoints: Handler[];
}

/** One function of an app. */
export interface FunctionRecord {
  readonly spec: WrittenSpec;
  /** What the code itself is called; empty when it has no name. */
  readonly codeName: string;
  /** What a runner does with it, made anew for each container. */
  readonly program: () => UserProgram;
  /** What `app.function` gave the user, by which an export is recognised. */
  readonly facade: object;
  readonly binding: FunctionBinding;
  /** Where its code is, when that is Python. */
  readonly python?: PythonSource;
}

/** What calls of a function need to know; filled in as it becomes known. */
export interface FunctionBinding {
  /** `spec.name`, else the export that holds the function, else the code's own name. */
  name: string | undefined;
  /** Set when this process deployed the function itself: calls go there, not to a lookup. */
  functionId: string | undefined;
  /** Where it is asked over HTTP, set with `functionId` when it has a URL. */
  webPath?: string;
}

/** The user's code of one function, as a container runs it: built, entered, called, left. */
export interface UserProgram {
  /** Makes the instance of a class; a function has none. */
  construct(params: readonly unknown[]): unknown;
  /** Runs the enter hooks: those before a memory snapshot, then the others. */
  enter(snapshot: boolean): Promise<void>;
  /** What an input's arguments go to. */
  readonly handler: (...args: unknown[]) => unknown;
  /** The exit hooks, in order. */
  readonly exits: readonly (() => Promise<void>)[];
  /** Its inputs are HTTP requests, and the handler takes a `Request`. */
  readonly isWeb?: boolean;
  /** Of a server: where it listens, and the program that is it unless `enter` starts it. */
  readonly server?: { readonly port: number; readonly command?: readonly string[] };
}

/** What a container's runner calls after importing a bundle. */
export interface RuntimeHook {
  /**
   * The user's function or class of the module just imported.
   *
   * @throws UsageError naming the functions there are.
   */
  resolveProgram(moduleNamespace: object, functionName: string, appName?: string): UserProgram;
}

interface SharedKeys {
  [APPS_KEY]: Map<string, AppRecord> | undefined;
  [RUNTIME_KEY]: RuntimeHook | undefined;
}

function sharedKeys(): SharedKeys {
  return globalThis as unknown as SharedKeys;
}

/** All apps defined so far, by name. */
export function registeredApps(): Map<string, AppRecord> {
  const shared = sharedKeys();
  shared[APPS_KEY] ??= new Map();
  return shared[APPS_KEY];
}

/** The record of an app, made on first need: one app may be spread over several modules. */
export function registerApp(name: string): AppRecord {
  installRuntimeHook();
  const apps = registeredApps();
  const known = apps.get(name);
  if (known !== undefined) return known;
  const app: AppRecord = { name, functions: [], entrypoints: [] };
  apps.set(name, app);
  return app;
}

/**
 * Gives every function of `app` its name, from `moduleNamespace` where its spec has none.
 *
 * @throws UsageError on a function without a name and on two with the same.
 */
export function nameFunctions(
  app: AppRecord,
  moduleNamespace: object,
): ReadonlyMap<string, FunctionRecord> {
  const exportNames = new Map(
    Object.entries(moduleNamespace).map(([name, value]: [string, unknown]) => [value, name]),
  );
  const named = new Map<string, FunctionRecord>();
  for (const record of app.functions) {
    const name = record.spec.name ?? exportNames.get(record.facade) ?? record.codeName;
    if (name === "") throw namelessFunction(app);
    validateFunctionName(name);
    if (named.has(name)) {
      throw new UsageError(
        `app "${app.name}" has two functions named "${name}": give one another \`name\``,
      );
    }
    record.binding.name = name;
    named.set(name, record);
  }
  return named;
}

/** The error for a function that nothing names. */
export function namelessFunction(app: Pick<AppRecord, "name">): UsageError {
  return new UsageError(
    `a function of app "${app.name}" has no name: export it, or give its spec a \`name\``,
  );
}

function installRuntimeHook(): void {
  const shared = sharedKeys();
  shared[RUNTIME_KEY] ??= { resolveProgram };
}

function resolveProgram(
  moduleNamespace: object,
  functionName: string,
  appName?: string,
): UserProgram {
  const names: string[] = [];
  for (const app of registeredApps().values()) {
    if (appName !== undefined && app.name !== appName) continue;
    const functions = nameFunctions(app, moduleNamespace);
    const record = functions.get(functionName);
    if (record !== undefined) return record.program();
    names.push(...functions.keys());
  }
  const list = names.length === 0 ? "none" : names.join(", ");
  throw new UsageError(
    `the code has no function "${functionName}"${hintFor(functionName, names)} (it has: ${list})`,
  );
}

/** What a bundle defines, found by importing it here. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { hintFor } from "../did-you-mean.ts";
import { UsageError } from "../errors.ts";
import type { AppFunction } from "../function.ts";
import {
  nameFunctions,
  registeredApps,
  type AppRecord,
  type FunctionRecord,
  type Handler,
} from "../registry.ts";
import type { Bundle } from "./bundle.ts";

/** An app of the bundle, its functions named. */
export interface LoadedApp {
  readonly record: AppRecord;
  readonly functions: ReadonlyMap<string, FunctionRecord>;
}

/** Something `flotilla run` can run: on this machine, or a function of the app on the platform. */
export interface Runnable {
  readonly name: string;
  readonly kind: "entrypoint" | "function";
  readonly run: (...args: unknown[]) => unknown;
}

export interface LoadedModule {
  readonly file: string;
  readonly apps: readonly LoadedApp[];
  readonly runnables: readonly Runnable[];
}

/**
 * Imports the bundle in this process; the user's top-level code runs.
 *
 * @throws UsageError when it defines no app or names are missing; what the user's code throws.
 */
export async function loadApps(bundle: Bundle): Promise<LoadedModule> {
  registeredApps().clear();
  const namespace = await importCode(bundle);
  const apps = [...registeredApps().values()].map((record) => ({
    record,
    functions: nameFunctions(record, namespace),
  }));
  if (apps.length === 0) {
    throw new UsageError(
      `${basename(bundle.file)} defines no app`,
      'begin it with: import { App } from "flotilla"; const app = new App("name");',
    );
  }
  const runnables = apps.flatMap((app) => runnablesOf(app, namespace));
  return { file: bundle.file, apps, runnables };
}

/**
 * The runnable that `name` means; without a name the only entrypoint, else the only function.
 *
 * @throws UsageError listing what there is, each as the command to type.
 */
export function chooseRunnable(
  { file, runnables }: LoadedModule,
  name: string | undefined,
): Runnable {
  const entrypoints = runnables.filter(({ kind }) => kind === "entrypoint");
  const candidates = entrypoints.length > 0 ? entrypoints : runnables;
  const [only] = candidates;
  if (name === undefined && only !== undefined && candidates.length === 1) return only;
  const named = runnables.find((runnable) => runnable.name === name);
  if (named !== undefined) return named;
  const names = runnables.map((runnable) => runnable.name);
  const problem =
    name === undefined
      ? `${basename(file)} has ${runnables.length === 0 ? "nothing to run" : "several things to run"}`
      : `${basename(file)} has no "${name}"${hintFor(name, names)}`;
  const list = runnables.map((each) => `\n  flotilla run ${basename(file)}::${each.name}`);
  throw new UsageError(problem + list.join(""));
}

async function importCode(bundle: Bundle): Promise<object> {
  process.setSourceMapsEnabled(true);
  const folder = await mkdtemp(join(tmpdir(), "flotilla-run-"));
  try {
    const path = join(folder, "bundle.mjs");
    await writeFile(path, bundle.code);
    return (await import(pathToFileURL(path).href)) as object;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function runnablesOf({ record, functions }: LoadedApp, namespace: object): Runnable[] {
  const exportNames = new Map(Object.entries(namespace).map(([name, value]) => [value, name]));
  const nameOf = (entrypoint: Handler): string =>
    exportNames.get(entrypoint) ?? (entrypoint.name === "" ? "main" : entrypoint.name);
  return [
    ...record.entrypoints.map((entrypoint) => ({
      name: nameOf(entrypoint),
      kind: "entrypoint" as const,
      run: entrypoint as unknown as (...args: unknown[]) => unknown,
    })),
    // A class has no call of its own: which method, and of which instance?
    ...[...functions]
      .filter(([, { facade }]) => "remote" in facade)
      .map(([name, { facade }]) => ({
        name,
        kind: "function" as const,
        run: (...args: unknown[]) => (facade as AppFunction).remote(...args),
      })),
  ];
}

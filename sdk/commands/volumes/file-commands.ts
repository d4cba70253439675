/** `flotilla volume`: the files of one; `add-volume.ts` declares it. */
import { once } from "node:events";
import { basename } from "node:path";
import { UsageError } from "../../errors.ts";
import { Volume } from "../../volume.ts";
import { InterruptedError } from "../interrupted-error.ts";
import { ageOf, tableOf } from "../table.ts";
import { printData, printJson, printProgress, withoutControls } from "../terminal.ts";
import type { JsonOption } from "./volume-commands.ts";
import { copyProgress } from "./copy-progress.ts";
import { sizeOf } from "./size-of.ts";

/** Of `ls` and `get`. */
export interface ReadOptions extends JsonOption {
  /** A version. */
  readonly at?: string;
  readonly recursive?: boolean;
}

/** Of `put`. */
export interface PutOptions extends JsonOption {
  readonly create?: boolean;
}

/** Of `rm`. */
export interface RemoveOptions extends JsonOption {
  readonly recursive?: boolean;
}

const STDOUT = "-";

/** What is in a folder of a volume. */
export async function listEntries(
  name: string,
  path: string,
  { recursive = false, json, at }: ReadOptions,
): Promise<void> {
  const entries = await Volume.fromName(name).list(path, { recursive, ...versionOf(at) });
  if (json === true) {
    printJson({ entries });
    return;
  }
  if (entries.length === 0) {
    printProgress(`There is nothing in it. Copy something: flotilla volume put ${name} FILE`);
    return;
  }
  const nowMs = Date.now();
  const rows = entries.map(({ path: entry, kind, bytes, modifiedAtMs, target }) => [
    withoutControls(kind === "link" ? `${entry} -> ${target ?? ""}` : entry),
    kind,
    kind === "file" ? sizeOf(bytes) : "-",
    ageOf(modifiedAtMs, nowMs),
  ]);
  printData(tableOf(["PATH", "KIND", "SIZE", "CHANGED"], rows));
}

/** Copies into a volume. */
export async function putFiles(
  name: string,
  source: string,
  path: string | undefined,
  { create = false, json }: PutOptions,
): Promise<void> {
  const volume = Volume.fromName(name, { createIfMissing: create });
  const target = path ?? basename(source);
  const progress = copyProgress("Copying", { json });
  const report = await interruptible((signal) =>
    volume.copyIn(source, target, { signal, onProgress: progress.note }),
  ).finally(progress.close);
  if (json === true) {
    printJson(report);
    return;
  }
  const { fileCount, bytes, version, overwritten } = report;
  printProgress(
    `Copied ${filesOf(fileCount)} (${sizeOf(bytes)}) to volume ${name}, version ${version}`,
  );
  for (const each of overwritten) printProgress(`overwrote ${withoutControls(each)}`);
}

/** Copies out of a volume. */
export async function getFiles(
  name: string,
  path: string,
  target: string | undefined,
  { json, at }: ReadOptions,
): Promise<void> {
  const volume = Volume.fromName(name);
  const version = versionOf(at);
  if (target === STDOUT) {
    for await (const part of volume.readStream(path, version)) {
      if (!process.stdout.write(part)) await once(process.stdout, "drain");
    }
    return;
  }
  const place = target ?? (basename(path) || name);
  const progress = copyProgress("Copying", { json });
  const report = await interruptible((signal) =>
    volume.copyOut(path, place, { ...version, signal, onProgress: progress.note }),
  ).finally(progress.close);
  if (json === true) {
    printJson(report);
    return;
  }
  const { fileCount, bytes } = report;
  const text = `Copied ${filesOf(fileCount)} (${sizeOf(bytes)}) of version ${report.version}`;
  printProgress(`${text} to ${place}`);
}

/** Removes from a volume. */
export async function removeFiles(
  name: string,
  path: string,
  { recursive = false, json }: RemoveOptions,
): Promise<void> {
  const report = await Volume.fromName(name).remove(path, { recursive });
  if (json === true) printJson(report);
  else printProgress(`Removed ${path} from volume ${name}, version ${report.version}`);
}

function versionOf(at: string | undefined): { readonly version?: number } {
  if (at === undefined) return {};
  const version = at === "" ? Number.NaN : Number(at);
  if (Number.isSafeInteger(version) && version >= 0) return { version };
  throw new UsageError(`--at is the number of a version, from 0 on, not "${at}"`);
}

/** Runs something that Ctrl-C cuts off; what was stored by then is not sent again. */
async function interruptible<Result>(
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const controller = new AbortController();
  const interrupt = (): void =>
    controller.abort(new InterruptedError("interrupted: the volume is as it was"));
  process.once("SIGINT", interrupt);
  try {
    return await work(controller.signal);
  } finally {
    process.off("SIGINT", interrupt);
  }
}

function filesOf(count: number): string {
  return count === 1 ? "1 file" : `${count} files`;
}

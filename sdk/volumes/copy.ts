/** Copies between a folder of this machine and a volume. */
import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import {
  lstat,
  mkdir,
  open,
  readdir,
  readlink,
  rename,
  rm,
  symlink,
  utimes,
  type FileHandle,
} from "node:fs/promises";
import { join } from "node:path";
import { UsageError } from "../errors.ts";
import type { CommitReport, VolumeChange, VolumeEntry } from "../protocol/volume.ts";
import type { VolumeApi } from "./volume-api.ts";
import { writeVolume, type FileSource } from "./write-volume.ts";

/** How far a copy is. */
export interface CopyProgress {
  readonly bytes: number;
  readonly bytesTotal: number;
  /** Of them, bytes that had to be sent: the others were stored already. */
  readonly sentBytes: number;
}

/** How a copy is made. */
export interface CopyOptions {
  /** Called as files are read and sent. */
  readonly onProgress?: (progress: CopyProgress) => void;
  readonly signal?: AbortSignal;
}

/** What was copied. */
export interface CopyReport {
  readonly version: number;
  readonly fileCount: number;
  readonly bytes: number;
}

interface Found {
  readonly files: (FileSource & { readonly bytes: number })[];
  readonly others: VolumeChange[];
}

/**
 * Copies a file, or a folder with all in it, to `target` of a volume. Links are copied as links.
 *
 * @throws UsageError for what no volume keeps: devices, sockets, FIFOs
 */
export async function copyIn(
  api: VolumeApi,
  name: string,
  { source, target }: { readonly source: string; readonly target: string },
  { onProgress, signal }: CopyOptions,
): Promise<CommitReport & CopyReport> {
  const found: Found = { files: [], others: [] };
  await collect(source, target, { found, signal });
  const bytesTotal = found.files.reduce((sum, { bytes }) => sum + bytes, 0);
  const report = await writeVolume(api, name, {
    ...found,
    onProgress: (bytes, sentBytes) => onProgress?.({ bytes, bytesTotal, sentBytes }),
    signal,
  });
  return { ...report, fileCount: found.files.length, bytes: bytesTotal };
}

async function collect(
  source: string,
  target: string,
  into: { readonly found: Found; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const { found, signal } = into;
  signal?.throwIfAborted();
  const stats = await lstat(source).catch((cause: unknown) => {
    throw new UsageError(`cannot read ${source}: ${cause instanceof Error ? cause.message : ""}`);
  });
  const modifiedAtMs = Math.floor(stats.mtimeMs);
  if (stats.isSymbolicLink()) {
    const change = { kind: "link", path: target, target: await readlink(source) } as const;
    found.others.push({ ...change, modifiedAtMs });
  } else if (stats.isDirectory()) {
    if (target !== "") found.others.push({ kind: "folder", path: target, modifiedAtMs });
    for (const name of (await readdir(source)).sort()) {
      await collect(join(source, name), target === "" ? name : `${target}/${name}`, into);
    }
  } else if (stats.isFile()) {
    const executable = (stats.mode & 0o111) !== 0;
    const read = (): AsyncIterable<Uint8Array> => bytesOfFile(source);
    found.files.push({ path: target, bytes: stats.size, modifiedAtMs, executable, read });
  } else {
    throw new UsageError(`${source} is a device, socket or FIFO, which no volume keeps`);
  }
}

async function* bytesOfFile(path: string): AsyncGenerator<Uint8Array> {
  yield* createReadStream(path, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Uint8Array>;
}

/**
 * Copies a file, or a folder with all in it, from a volume to `target` of this machine. A file
 * takes its place as a whole; links come last and are never followed, so that nothing is written
 * outside `target`.
 *
 * @throws UsageError when two names would be one on this machine, or a link stands in the way
 */
export async function copyOut(
  api: VolumeApi,
  name: string,
  wanted: {
    readonly source: string;
    readonly target: string;
    readonly version: number | undefined;
  },
  { onProgress, signal }: CopyOptions,
): Promise<CopyReport> {
  const { source, target, version: asked } = wanted;
  const query = { path: source, recursive: true, version: asked };
  const { version, entries } = await api.entries(name, query);
  const isFile = entries.length === 1 && entries[0]?.path === source && entries[0].kind === "file";
  const placed = entries.map((entry) => {
    const below = isFile || source === "" ? entry.path : entry.path.slice(source.length + 1);
    return { entry, names: isFile ? [] : namesOf(below) };
  });
  refuseLookalikes(placed.map(({ names }) => names));
  const files = entries.filter(({ kind }) => kind === "file");
  const bytesTotal = files.reduce((sum, { bytes }) => sum + bytes, 0);
  let bytes = 0;
  if (!isFile) await mkdir(target, { recursive: true });
  const order: readonly VolumeEntry["kind"][] = ["folder", "file", "link"];
  for (const kind of order) {
    for (const { entry, names } of placed.filter((one) => one.entry.kind === kind)) {
      signal?.throwIfAborted();
      const path = await safePath(target, names);
      if (kind === "folder") await makeFolder(path);
      else if (kind === "link") await makeLink(path, entry.target ?? "");
      else {
        await writeOut(
          path,
          entry,
          (offset) => api.read(name, { path: entry.path, offset, version }, signal),
          (more) => {
            bytes += more;
            onProgress?.({ bytes, bytesTotal, sentBytes: bytes });
          },
        );
      }
    }
  }
  return { version, fileCount: files.length, bytes: bytesTotal };
}

/** What a server says is a path is held to being one. */
function namesOf(path: string): readonly string[] {
  const names = path.split("/");
  const isPath = names.every(
    (each) => each !== "" && each !== "." && each !== ".." && !/[\0\\]/.test(each),
  );
  if (isPath) return names;
  throw new UsageError(`the volume has ${JSON.stringify(path)}, which is no path of this machine`);
}

/** File systems that take case, or ways to compose a character, for one would mix them up. */
function refuseLookalikes(all: readonly (readonly string[])[]): void {
  const seen = new Map<string, string>();
  for (const names of all) {
    const path = names.join("/");
    const folded = path.normalize("NFKC").toLowerCase();
    const other = seen.get(folded);
    if (other !== undefined) {
      throw new UsageError(
        `the volume has both ${other} and ${path}, which one folder may not hold`,
      );
    }
    seen.set(folded, path);
  }
}

/** A path below `target`, none of whose folders is a link. */
async function safePath(target: string, names: readonly string[]): Promise<string> {
  let path = target;
  for (const name of names.slice(0, -1)) {
    path = join(path, name);
    const stats = await lstat(path).catch(() => undefined);
    if (stats !== undefined && !stats.isDirectory()) {
      throw new UsageError(`${path} is no folder; remove it, or copy to another place`);
    }
  }
  return join(path, ...names.slice(-1));
}

async function makeFolder(path: string): Promise<void> {
  const stats = await lstat(path).catch(() => undefined);
  if (stats === undefined) await mkdir(path, { recursive: true });
  else if (!stats.isDirectory()) {
    throw new UsageError(`${path} is no folder; remove it, or copy to another place`);
  }
}

async function makeLink(path: string, target: string): Promise<void> {
  await rm(path, { force: true });
  await symlink(target, path);
}

/** How often a download goes on where it was cut off. */
const READS_MAX = 5;

async function writeOut(
  path: string,
  { bytes, modifiedAtMs, executable }: VolumeEntry,
  read: (offset: number) => Promise<AsyncIterable<Uint8Array>>,
  onBytes: (more: number) => void,
): Promise<void> {
  const temporary = `${path}.${randomUUID()}`;
  const file = await open(temporary, "wx", executable === true ? 0o755 : 0o644);
  try {
    let offset = 0;
    for (let reads = 1; offset < bytes; reads += 1) {
      try {
        offset = await append(file, offset, await read(offset), onBytes);
      } catch (error) {
        if (reads >= READS_MAX) throw error;
        offset = (await file.stat()).size;
      }
      if (offset < bytes && reads >= READS_MAX)
        throw new Error(`the answer for ${path} was cut off`);
    }
    await file.close();
    await utimes(temporary, modifiedAtMs / 1_000, modifiedAtMs / 1_000);
    await rename(temporary, path);
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(temporary, { force: true });
    throw error;
  }
}

async function append(
  file: FileHandle,
  start: number,
  parts: AsyncIterable<Uint8Array>,
  onBytes: (more: number) => void,
): Promise<number> {
  let offset = start;
  for await (const part of parts) {
    await file.writeFile(part);
    offset += part.byteLength;
    onBytes(part.byteLength);
  }
  return offset;
}

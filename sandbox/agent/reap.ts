/** Ends everything that a killed agent left: sandbox processes, state, bundles, control groups. */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { reapImageMounts } from "../lazyfs/image-mounts.ts";
import { endProcess, removeCgroup } from "../runtime/cgroups.ts";
import { runscRoot } from "../runtime/gvisor.ts";
import { unmountBelow, volumesDirOf } from "../volumes/node-volumes.ts";

const TRIES_MAX = 40;
const RETRY_MS = 25;
const DIGEST_CHARACTERS = 12;
/** A folder's name may have 255 bytes. */
const WORDS_CHARACTERS_MAX = 100;

/** Where an agent's folder has its images: mount points, and what was learnt of them. */
export function imagesDirOf(dataDir: string): string {
  // As the kernel lists mount points.
  return join(resolve(dataDir), "images");
}

/** Where an agent's folder keeps chunks of images; its serving process is known by it. */
export function chunksDirOf(dataDir: string): string {
  return join(resolve(dataDir), "chunks");
}

/** The control group under which the containers of an agent's folder live, and no others. */
export function cgroupParentOf(dataDir: string): string {
  const path = resolve(dataDir);
  const words = path.replaceAll(/[^A-Za-z0-9]+/g, "-").replace(/^-/, "");
  const digest = createHash("sha256").update(path).digest("hex").slice(0, DIGEST_CHARACTERS);
  return `/flotilla/${words.slice(-WORDS_CHARACTERS_MAX)}-${digest}`;
}

/**
 * Makes an agent's folder as if its containers had never been, without mounts; code and image
 * caches stay.
 *
 * Only processes with the folder's own path in their command line, or with their working
 * directory in the bundle of one of its containers, are ended.
 */
export async function reap(dataDir: string): Promise<void> {
  const marks = [
    ...[`--root=${runscRoot(dataDir)}`, join(dataDir, "bundles")],
    chunksDirOf(dataDir),
  ];
  for (let tries = 0; tries < TRIES_MAX && endProcesses(marks) > 0; tries += 1) {
    await sleep(RETRY_MS);
  }
  await unmountBelow(volumesDirOf(dataDir));
  await unmountBelow(join(resolve(dataDir), "bundles"));
  await reapImageMounts(imagesDirOf(dataDir));
  await rm(runscRoot(dataDir), { recursive: true, force: true });
  await rm(join(dataDir, "bundles"), { recursive: true, force: true });
  await removeCgroup(cgroupParentOf(dataDir));
}

/** Kills what carries one of `marks`; gives how many there were. */
function endProcesses(marks: readonly string[]): number {
  if (!existsSync("/proc/self/cmdline")) return 0;
  let ended = 0;
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const isOurs = [...commandOf(pid), folderOf(pid)].some((word) =>
      marks.some((mark) => word === mark || word.startsWith(`${mark}/`)),
    );
    if (!isOurs) continue;
    ended += 1;
    endProcess(pid);
  }
  return ended;
}

function commandOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    // It has just ended.
    return [];
  }
}

/** The working directory of a process. */
function folderOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    // It has just ended, or is none of ours.
    return "";
  }
}

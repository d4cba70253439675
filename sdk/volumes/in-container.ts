/** Volumes inside a container: its node agent commits and reloads them. */
import { containerLink, type ContainerLink } from "../client/container-link.ts";
import { refusalOf, strangeAnswer } from "../client/problems.ts";
import { RequestError, UsageError } from "../errors.ts";
import type { ContainerCommitReport, ReloadReport } from "../protocol/volume.ts";

const VOLUMES = "/v1/container/volumes";
/** Open files that are named in an error. */
const NAMED_MAX = 10;

/** Makes what this container changed the next version. */
export async function commitHere(
  name: string,
  signal?: AbortSignal,
): Promise<ContainerCommitReport> {
  const link = linkFor(name, "commit");
  return ask<ContainerCommitReport>(link, { method: "POST", path: `/${name}/commit` }, signal);
}

/**
 * Brings what others committed into this container.
 *
 * @throws RequestError `conflict` when a program of this container has a file of it open
 */
export async function reloadHere(name: string, signal?: AbortSignal): Promise<ReloadReport> {
  const link = linkFor(name, "reload");
  const { volumes } = await ask<{
    readonly volumes: readonly { readonly name: string; readonly path: string }[];
  }>(link, { method: "GET", path: "" }, signal);
  const path = volumes.find((volume) => volume.name === name)?.path;
  const open = path === undefined ? [] : await openFiles(path);
  if (open.length > 0) {
    throw new RequestError(
      `volume ${name} cannot be reloaded while files of it are open: ` +
        open.slice(0, NAMED_MAX).join(", "),
      { code: "conflict", nextStep: "close them, and reload again" },
    );
  }
  return ask<ReloadReport>(link, { method: "POST", path: `/${name}/reload` }, signal);
}

function linkFor(name: string, wish: string): ContainerLink {
  const link = containerLink();
  if (link !== undefined) return link;
  throw new UsageError(
    `${wish} of volume ${name} works inside a container that has it`,
    "outside, what writeFile, copyIn and remove do is committed at once",
  );
}

async function ask<T>(
  link: ContainerLink,
  { method, path }: { readonly method: string; readonly path: string },
  signal: AbortSignal | undefined,
): Promise<T> {
  const { status, body } = await link.request({ method, path: VOLUMES + path }, signal);
  const text = new TextDecoder().decode(body);
  if (status >= 200 && status < 300) {
    try {
      return JSON.parse(text) as T;
    } catch (cause) {
      throw strangeAnswer(cause);
    }
  }
  throw refusalOf({ status, header: () => undefined }, text).error;
}

/** Files below a folder that programs of this container have open. */
async function openFiles(folder: string): Promise<readonly string[]> {
  const { readdir, readlink } = await import("node:fs/promises");
  const open = new Set<string>();
  const nothing = (): string[] => [];
  for (const pid of await readdir("/proc").catch(nothing)) {
    if (!/^\d+$/.test(pid)) continue;
    for (const fd of await readdir(`/proc/${pid}/fd`).catch(nothing)) {
      // It may be closed by now.
      const target = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => "");
      if (target.startsWith(`${folder}/`)) open.add(target);
    }
  }
  return [...open].sort();
}

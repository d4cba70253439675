/** The volumes of a container, from inside it or through a sandbox: its node agent does the work. */
import { containerLink, type ContainerLink } from "../client/container-link.ts";
import { refusalOf, strangeAnswer } from "../client/problems.ts";
import { RequestError, UsageError } from "../errors.ts";
import type { ContainerCommitReport, ReloadReport } from "../protocol/volume.ts";
import { openFilesBelow } from "./open-files.ts";

const VOLUMES = "/v1/container/volumes";
/** Open files that are named in an error. */
const NAMED_MAX = 10;

/** A container whose volumes can be asked of. */
export interface VolumesContainer {
  /** What it is called in errors. */
  readonly what: string;
  readonly link: Pick<ContainerLink, "request">;
  /** Files below a folder that its programs have open. */
  readonly openFiles: (folder: string) => Promise<readonly string[]>;
}

/** Makes what this container changed the next version. */
export async function commitHere(
  name: string,
  signal?: AbortSignal,
): Promise<ContainerCommitReport> {
  return commitIn(here(name, "commit"), name, signal);
}

/**
 * Brings what others committed into this container.
 *
 * @throws RequestError `conflict` when a program of this container has a file of it open
 */
export async function reloadHere(name: string, signal?: AbortSignal): Promise<ReloadReport> {
  return reloadIn(here(name, "reload"), name, signal);
}

/** As `commitHere`, for that container. */
export async function commitIn(
  { link }: VolumesContainer,
  name: string,
  signal?: AbortSignal,
): Promise<ContainerCommitReport> {
  return ask<ContainerCommitReport>(link, { method: "POST", path: `/${name}/commit` }, signal);
}

/** As `reloadHere`, for that container. */
export async function reloadIn(
  { what, link, openFiles }: VolumesContainer,
  name: string,
  signal?: AbortSignal,
): Promise<ReloadReport> {
  const { volumes } = await ask<{
    readonly volumes: readonly { readonly name: string; readonly path: string }[];
  }>(link, { method: "GET", path: "" }, signal);
  const path = volumes.find((volume) => volume.name === name)?.path;
  const open = path === undefined ? [] : await openFiles(path);
  if (open.length > 0) {
    throw new RequestError(
      `volume ${name} cannot be reloaded while files of it are open in ${what}: ` +
        open.slice(0, NAMED_MAX).join(", "),
      { code: "conflict", nextStep: "close them, and reload again" },
    );
  }
  return ask<ReloadReport>(link, { method: "POST", path: `/${name}/reload` }, signal);
}

function here(name: string, wish: string): VolumesContainer {
  const link = containerLink();
  if (link !== undefined) return { what: "this container", link, openFiles: openFilesBelow };
  throw new UsageError(
    `${wish} of volume ${name} works inside a container that has it`,
    "outside, what writeFile, copyIn and remove do is committed at once",
  );
}

async function ask<T>(
  link: VolumesContainer["link"],
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

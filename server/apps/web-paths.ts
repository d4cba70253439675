/**
 * Where functions are asked over HTTP: `/web/{workspace}/{app}/{path}`.
 *
 * The app part is the app's name for the running deployed version, and the name with `~dev` for
 * the newest ephemeral app of that name, so that both have URLs that stay.
 */
import type { DeployedName, WebSpec } from "../../sdk/protocol/index.ts";
import type { StoredDeployment } from "../store/record-store.ts";

export const WEB_PREFIX = "/web";
/** What an ephemeral app's name ends in; no app's own name can. */
const EPHEMERAL_MARK = "~dev";

interface Named {
  readonly name: string;
  readonly spec: { readonly web?: WebSpec };
  /** A variant has no URL of its own. */
  readonly variant?: unknown;
}

type Owner = Pick<StoredDeployment, "workspaceId" | "app" | "mode">;

/** The path of a function below the server's URL; undefined when it has none. */
export function webPathOf(deployment: Owner, { name, spec, variant }: Named): string | undefined {
  if (spec.web === undefined || spec.web.tunnels === true || variant !== undefined) {
    return undefined;
  }
  const below = partOf(name, spec.web);
  return `${appPrefixOf(deployment)}/${below}`;
}

/** A function of a deployment, with its path when it has one. */
export function deployedNameOf(
  deployment: Owner,
  one: Named & { readonly functionId: string },
): DeployedName {
  const webPath = webPathOf(deployment, one);
  const { name, functionId } = one;
  return { name, functionId, ...(webPath === undefined ? {} : { webPath }) };
}

/** Whether two functions of one app would be asked at the same path. */
export function hasSharedPath(functions: readonly Named[]): boolean {
  const parts = functions.flatMap(({ name, spec: { web } }) =>
    web === undefined ? [] : [partOf(name, web)],
  );
  return new Set(parts).size < parts.length;
}

/**
 * The function that a path of an app means: the one with the longest path that it begins with.
 *
 * @param rest The path after the app's part, beginning with `/`, or empty.
 */
export function findByPath<Function extends Named>(
  functions: readonly Function[],
  rest: string,
): { readonly found: Function; readonly part: string } | undefined {
  let best: { readonly found: Function; readonly part: string } | undefined;
  for (const found of functions) {
    if (found.spec.web === undefined || found.variant !== undefined) continue;
    if (found.spec.web.tunnels === true) continue;
    const name = partOf(found.name, found.spec.web);
    const part = name === "" ? "" : `/${name}`;
    const isBelow = rest === part || rest.startsWith(`${part}/`) || part === "";
    if (isBelow && (best === undefined || part.length > best.part.length)) best = { found, part };
  }
  return best;
}

/** The deployment that the app's part of a path means; `deployments` are newest first. */
export function findWebApp(
  deployments: readonly StoredDeployment[],
  part: string,
): StoredDeployment | undefined {
  const isEphemeral = part.endsWith(EPHEMERAL_MARK);
  const app = isEphemeral ? part.slice(0, -EPHEMERAL_MARK.length) : part;
  const mode = isEphemeral ? "ephemeral" : "deployed";
  return deployments.find(
    (each) => each.app === app && each.mode === mode && each.state === "running",
  );
}

/** The path of an app, without a slash at its end. */
export function appPrefixOf({ workspaceId, app, mode }: Owner): string {
  const mark = mode === "ephemeral" ? EPHEMERAL_MARK : "";
  return `${WEB_PREFIX}/${workspaceId}/${app}${mark}`;
}

function partOf(name: string, { path = name }: WebSpec): string {
  return path === "/" ? "" : path;
}

/** Which events a principal may see, and which deployment a name means. */
import { PlatformError } from "../../core/index.ts";
import type { PlatformEvent } from "../../sdk/protocol/index.ts";
import { findApp } from "../apps/listed-apps.ts";
import { allows } from "../auth/scopes.ts";
import type { EventFilter, Principal, Services } from "../services.ts";
import type { RecordStore } from "../store/record-store.ts";

/** What a reader of events asks for: by app (name or id), call or container. */
export interface EventsWanted {
  readonly app?: string | undefined;
  readonly call?: string | undefined;
  readonly container?: string | undefined;
}

/**
 * The filter for what was asked.
 *
 * @throws PlatformError `not_found` when it is not there or another workspace's.
 */
export async function filterFor(
  wanted: EventsWanted,
  who: Principal,
  deps: { readonly store: Pick<RecordStore, "registry">; readonly services: Services },
): Promise<EventFilter> {
  const { app, call, container } = wanted;
  if (call !== undefined) await deps.services.calls.status(who, call);
  return {
    ...(app === undefined ? {} : { appId: await appIdOf(app, who, deps.store) }),
    ...(call === undefined ? {} : { callId: call }),
    ...(container === undefined ? {} : { containerId: container }),
  };
}

/**
 * Tells a workspace's events from others'. Events of no app (plans, nodes) are the operators'.
 *
 * Who owns an app never changes, so each app is looked up once; ids new to this reader cost
 * one listing of the workspace.
 *
 * @param wanted What `filterFor` found: the app that it names is the workspace's own. So the many
 *   who follow one app do not all list the workspace at its next event.
 */
export function createEventScope(
  who: Principal,
  store: { readonly registry: Pick<RecordStore["registry"], "list"> },
  wanted: EventFilter = {},
): (event: PlatformEvent) => boolean | Promise<boolean> {
  const own = new Map(wanted.appId === undefined ? [] : [[wanted.appId, true]]);
  const lookUp = async (appId: string): Promise<boolean> => {
    for (const app of await store.registry.list(who.workspaceId)) own.set(app.appId, true);
    const isOwn = own.get(appId) ?? false;
    own.set(appId, isOwn);
    return isOwn;
  };
  return ({ appId, callId, containerId }) => {
    if (appId === undefined) {
      const isPlatforms = callId === undefined && containerId === undefined;
      return isPlatforms && allows(who.scopes ?? [], "operator");
    }
    return own.get(appId) ?? lookUp(appId);
  };
}

async function appIdOf(
  nameOrId: string,
  who: Principal,
  store: Pick<RecordStore, "registry">,
): Promise<string> {
  const found = findApp(await store.registry.list(who.workspaceId), nameOrId);
  if (found !== undefined) return found.appId;
  throw new PlatformError(`there is no app ${nameOrId}`, { code: "not_found", retryable: false });
}

/**
 * Workspaces: made, listed and deleted by the platform's operators.
 *
 * Deleting goes by steps that a crash may cut: the workspace is marked and its tokens end in one
 * write, then its apps are stopped, then what it kept is removed. `finishRemovals` takes up what
 * was cut.
 */
import { PlatformError, type Clock, type IdSource } from "../../core/index.ts";
import { isUsable } from "../auth/tokens.ts";
import type { AppService, WorkspaceService } from "../services.ts";
import type { RecordStore } from "../store/record-store.ts";
import type { StoredWorkspace } from "../store/workspace-store.ts";
import type { WorkspaceSummary } from "../../sdk/protocol/index.ts";
import { DEFAULT_WORKSPACE } from "./default-workspace.ts";

/** Workspaces that one platform may have. */
const WORKSPACES_MAX = 1_000;

export interface WorkspaceServiceOptions {
  readonly store: Pick<RecordStore, "workspaces" | "registry" | "tokens">;
  readonly apps: Pick<AppService, "list" | "stop">;
  readonly clock: Pick<Clock, "nowMs">;
  readonly ids: IdSource;
}

export interface ManagedWorkspaces extends WorkspaceService {
  /** Finishes deletions that were cut. To be called at the start. */
  finishRemovals(): Promise<void>;
}

/** Workspaces over the record store. */
export function createWorkspaceService(options: WorkspaceServiceOptions): ManagedWorkspaces {
  return new Workspaces(options);
}

class Workspaces implements ManagedWorkspaces {
  readonly #options: WorkspaceServiceOptions;

  constructor(options: WorkspaceServiceOptions) {
    this.#options = options;
  }

  async create({ name }: { readonly name: string }): Promise<WorkspaceSummary> {
    const { store, ids, clock } = this.#options;
    if ((await store.workspaces.list()).length >= WORKSPACES_MAX) {
      throw refusal("quota_exceeded", `the platform has ${WORKSPACES_MAX} workspaces already`);
    }
    const workspace = { workspaceId: ids.next("ws"), name, createdAtMs: clock.nowMs() };
    if (await store.workspaces.add(workspace)) return this.#summaryOf(workspace);
    throw refusal("conflict", `there is a workspace ${name} already; choose another name`);
  }

  async list(): Promise<readonly WorkspaceSummary[]> {
    const workspaces = await this.#options.store.workspaces.list();
    return Promise.all(workspaces.map((each) => this.#summaryOf(each)));
  }

  async remove(name: string, { evenIfUsed }: { readonly evenIfUsed: boolean }): Promise<void> {
    const { store, clock } = this.#options;
    const found = await store.workspaces.find(name);
    if (found === undefined) throw refusal("not_found", `there is no workspace ${name}`);
    const { workspaceId } = found;
    if (workspaceId === DEFAULT_WORKSPACE) {
      throw refusal("conflict", `the workspace ${DEFAULT_WORKSPACE} cannot be deleted`);
    }
    const running = await this.#running(workspaceId);
    if (running.length > 0 && !evenIfUsed) {
      const apps = running.map(({ app }) => app).join(", ");
      throw refusal("conflict", `in the workspace ${name} run ${apps}; stop them first`);
    }
    await store.workspaces.remove(workspaceId, clock.nowMs());
    await this.#empty(workspaceId);
  }

  async finishRemovals(): Promise<void> {
    for (const { workspaceId } of await this.#options.store.workspaces.listRemoved()) {
      await this.#empty(workspaceId);
    }
  }

  async #empty(workspaceId: string): Promise<void> {
    const { store, apps, clock } = this.#options;
    const who = { workspaceId, tokenId: "platform" };
    for (const { appId } of await this.#running(workspaceId)) await apps.stop(who, appId);
    await store.workspaces.purge(workspaceId, clock.nowMs());
  }

  async #running(workspaceId: string): Promise<readonly { appId: string; app: string }[]> {
    const all = await this.#options.store.registry.list(workspaceId);
    return all.filter(({ state }) => state === "running");
  }

  async #summaryOf({ workspaceId, name, createdAtMs }: StoredWorkspace): Promise<WorkspaceSummary> {
    const { store, clock } = this.#options;
    const nowMs = clock.nowMs();
    const tokens = (await store.tokens.list(workspaceId)).filter(
      (token) => token.kind === "user" && isUsable(token, nowMs),
    );
    const appCount = (await this.#running(workspaceId)).length;
    return { workspaceId, name, createdAtMs, appCount, tokenCount: tokens.length };
  }
}

function refusal(
  code: "conflict" | "not_found" | "quota_exceeded",
  message: string,
): PlatformError {
  return new PlatformError(message, { code, retryable: false });
}

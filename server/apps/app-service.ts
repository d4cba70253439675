/**
 * Apps: checked, deployed, kept alive, looked up and stopped.
 *
 * A deployed app has at most one running version; deploying again replaces it. An ephemeral
 * app lives while its owner sends heartbeats. Deployments of one app are handled one after the
 * other, so that every version that ends is announced exactly once by this process.
 */
import { PlatformError, type Clock, type IdSource } from "../../core/index.ts";
import type {
  AppHistory,
  AppSummary,
  Deployment,
  DeployRequest,
  FunctionInfo,
  RollbackRequest,
} from "../../sdk/protocol/index.ts";
import type { BlobStore } from "../blobs/blob-store.ts";
import type { SecretVault } from "../secrets/secret-vault.ts";
import type { AppService, FleetService, HistoryQuery, Principal } from "../services.ts";
import type {
  ImageStore,
  RecordStore,
  Registry,
  StoredDeployment,
  StoredFunction,
  TokenStore,
} from "../store/record-store.ts";
import { appNameSchema, deployRequestSchema } from "./deploy-schema.ts";
import { explainIssues } from "./explain-issues.ts";
import { findFunction, functionInfoOf } from "./find-function.ts";
import { findApp, listedApps } from "./listed-apps.ts";
import { createTurns } from "./turns.ts";
import { deployedNameOf, webPathOf } from "./web-paths.ts";
import { goneError, historyOf, rollbackTarget, versionsOf } from "./versions.ts";

/** An ephemeral app without a heartbeat for this long is stopped. */
export const EPHEMERAL_LEASE_MS = 30_000;

export interface AppServiceOptions {
  readonly store: Pick<RecordStore, "registry" | "blobOwners"> & {
    readonly images: Pick<ImageStore, "find">;
    readonly tokens: Pick<TokenStore, "list">;
  };
  readonly blobs: Pick<BlobStore, "has">;
  readonly secrets: Pick<SecretVault, "checkDeployment" | "keepOwn">;
  readonly fleet: Pick<FleetService, "functionLoad">;
  readonly clock: Pick<Clock, "nowMs">;
  readonly ids: IdSource;
  /** Workspaces whose ephemeral apps from before a restart are to be reaped. */
  readonly workspaceIds: readonly string[];
  /** `EPHEMERAL_LEASE_MS` unless given. */
  readonly leaseMs?: number;
  /** A deployment runs from now on. */
  readonly onDeployed: (deployment: StoredDeployment) => void;
  /** A deployment ended: a new version replaced it, or it was stopped or its lease ran out. */
  readonly onStopped: (appId: string, why: "replaced" | "stopped", workspaceId: string) => void;
}

export interface ManagedApps extends AppService {
  /**
   * Stops ephemeral apps whose owners have gone; gives their ids. To be called on a tick.
   * Cost: one listing per workspace seen.
   */
  expireLeases(nowMs: number): Promise<readonly string[]>;
}

/**
 * Apps over the record store.
 *
 * Methods throw PlatformError: `invalid_request` names the field, `not_found` also stands for
 * what belongs to another workspace, `conflict` for a heartbeat of a stopped app.
 */
export function createAppService(options: AppServiceOptions): ManagedApps {
  return new Apps(options);
}

class Apps implements ManagedApps {
  readonly #options: AppServiceOptions;
  readonly #registry: Registry;
  readonly #leaseMs: number;
  readonly #workspaceIds: Set<string>;
  readonly #inTurn = createTurns();

  constructor(options: AppServiceOptions) {
    this.#options = options;
    this.#registry = options.store.registry;
    this.#leaseMs = options.leaseMs ?? EPHEMERAL_LEASE_MS;
    this.#workspaceIds = new Set(options.workspaceIds);
  }

  async deploy(who: Principal, app: string, request: DeployRequest): Promise<Deployment> {
    checkDeployment(app, request);
    for (const sha256 of codesOf(request)) {
      if (!(await this.#hasCode(who, sha256))) throw missingCode(sha256);
    }
    await this.#checkImages(who, request);
    await this.#options.secrets.checkDeployment(who.workspaceId, request);
    this.#workspaceIds.add(who.workspaceId);
    const stored = await this.#inTurn(turnOf(who, app), () => this.#replace(who, app, request));
    return deploymentOf(stored, this.#leaseMs);
  }

  async history(who: Principal, app: string, query: HistoryQuery): Promise<AppHistory> {
    const versions = versionsOf(await this.#registry.list(who.workspaceId), app);
    if (versions.length === 0) throw noApp(app);
    const tokens = await this.#options.store.tokens.list(who.workspaceId);
    const names = new Map(tokens.map(({ tokenId, name }) => [tokenId, name]));
    return historyOf(app, versions, {
      isBusy: (each) => this.#loadOf(each).some((load) => load.backlog + load.containers > 0),
      tokenName: (tokenId) => names.get(tokenId),
      before: query.before ?? Infinity,
      limit: query.limit,
    });
  }

  async rollback(who: Principal, app: string, request: RollbackRequest): Promise<Deployment> {
    this.#workspaceIds.add(who.workspaceId);
    const stored = await this.#inTurn(turnOf(who, app), async () => {
      const versions = versionsOf(await this.#registry.list(who.workspaceId), app);
      const target = rollbackTarget(app, versions, request.version);
      const again = { ...againOf(target), strategy: request.strategy ?? "rolling" };
      for (const sha256 of codesOf(again)) {
        if (!(await this.#hasCode(who, sha256))) throw goneError(target, `code ${sha256}`);
      }
      const missing = await this.#missingImage(who, again);
      if (missing !== undefined) throw goneError(target, `image ${missing.image}`);
      await this.#options.secrets.checkDeployment(who.workspaceId, again);
      return this.#replace(who, app, again, target.version);
    });
    return deploymentOf(stored, this.#leaseMs);
  }

  async heartbeat(who: Principal, appId: string): Promise<void> {
    this.#workspaceIds.add(who.workspaceId);
    const apps = await this.#registry.list(who.workspaceId);
    const app = apps.find((each) => each.appId === appId);
    if (app === undefined) throw noApp(appId);
    if (await this.#registry.renewLease(appId, this.#options.clock.nowMs())) return;
    throw new PlatformError(`app ${app.app} (${appId}) is stopped; deploy it again`, {
      code: "conflict",
      retryable: false,
      details: { appId },
    });
  }

  async list(who: Principal): Promise<readonly AppSummary[]> {
    const deployments = listedApps(await this.#registry.list(who.workspaceId));
    return deployments.map((each) => this.#summaryOf(each));
  }

  async stop(who: Principal, nameOrId: string): Promise<AppSummary> {
    const app = findApp(await this.#registry.list(who.workspaceId), nameOrId);
    if (app === undefined) throw noApp(nameOrId);
    await this.#inTurn(turnOf(who, app.app), () => this.#end(app));
    return { ...this.#summaryOf(app), state: "stopped" };
  }

  async lookup(who: Principal, app: string, functionName: string): Promise<FunctionInfo> {
    const own = await this.#ownFunction(who, app, functionName);
    const found = own ?? (await findFunction(this.#registry, who, app, functionName));
    return functionInfoOf(found, this.#options.fleet.functionLoad(found.functionId));
  }

  /** A container finds the functions that were deployed with its own, whatever came after. */
  async #ownFunction(
    { workspaceId, appId }: Principal,
    app: string,
    functionName: string,
  ): Promise<StoredFunction | undefined> {
    if (appId === undefined) return undefined;
    const deployments = await this.#registry.list(workspaceId);
    const own = deployments.find((each) => each.appId === appId && each.app === app);
    const found = own?.functions.find(({ name }) => name === functionName);
    if (own === undefined || found === undefined || !isRunning(own)) return undefined;
    return { ...found, deployment: own };
  }

  async expireLeases(nowMs: number): Promise<readonly string[]> {
    const expired: string[] = [];
    for (const workspaceId of this.#workspaceIds) {
      for (const app of await this.#registry.list(workspaceId)) {
        const silentMs = nowMs - app.leaseRenewedAtMs;
        if (app.mode !== "ephemeral" || !isRunning(app) || silentMs < this.#leaseMs) continue;
        await this.#end(app);
        expired.push(app.appId);
      }
    }
    return expired;
  }

  /** Code that only another workspace has sent counts as never sent. */
  async #hasCode({ workspaceId }: Principal, sha256: string): Promise<boolean> {
    const { store, blobs } = this.#options;
    return (await store.blobOwners.has(workspaceId, sha256)) && blobs.has(sha256);
  }

  async #checkImages(who: Principal, request: DeployRequest): Promise<void> {
    const missing = await this.#missingImage(who, request);
    if (missing === undefined) return;
    const { name, image } = missing;
    throw new PlatformError(
      `function ${name} needs image ${image}, which is not built here; ` +
        "`flotilla deploy` and `flotilla image build` build it",
      { code: "invalid_request", retryable: false, details: { image } },
    );
  }

  /** The first function whose image is not here, with the image. */
  async #missingImage(
    { workspaceId }: Principal,
    { functions }: DeployRequest,
  ): Promise<{ readonly name: string; readonly image: string } | undefined> {
    for (const { name, spec } of functions) {
      if (spec.image === undefined) continue;
      if (await this.#options.store.images.find(workspaceId, spec.image)) continue;
      return { name, image: spec.image };
    }
    return undefined;
  }

  async #replace(
    who: Principal,
    app: string,
    request: DeployRequest,
    rollbackOf?: number,
  ): Promise<StoredDeployment> {
    const { ids, clock, secrets, onDeployed, onStopped } = this.#options;
    const { ownSecrets, ...plain } = request;
    const owner = { workspaceId: who.workspaceId, appId: ids.next("ap") };
    await secrets.keepOwn(owner, ownSecrets);
    const before = await this.#registry.list(who.workspaceId);
    const stored = await this.#registry.deploy({
      ...plain,
      ...owner,
      app,
      functions: request.functions.map((each) => ({ ...each, functionId: ids.next("fn") })),
      createdAtMs: clock.nowMs(),
      tokenId: who.tokenId,
      ...(rollbackOf === undefined ? {} : { rollbackOf }),
    });
    if (request.mode === "deployed") {
      for (const old of before) {
        if (isReplaced(old, app)) onStopped(old.appId, "replaced", who.workspaceId);
      }
    }
    onDeployed(stored);
    return stored;
  }

  async #end(deployment: StoredDeployment): Promise<void> {
    const ended = await this.#registry.stop(deployment.appId, this.#options.clock.nowMs());
    const { appId, workspaceId } = deployment;
    if (ended) this.#options.onStopped(appId, "stopped", workspaceId);
  }

  #summaryOf(deployment: StoredDeployment): AppSummary {
    const { appId, app, mode, state, version, functions, createdAtMs } = deployment;
    const containers = this.#loadOf(deployment).reduce((sum, load) => sum + load.containers, 0);
    const deployed = functions.filter(({ variant }) => variant === undefined);
    const names = deployed.map(({ name }) => name);
    const summary = { appId, app, mode, state, version, functions: names, containers, createdAtMs };
    const webPaths = functions.flatMap((each) => webPathOf(deployment, each) ?? []);
    return state === "running" && webPaths.length > 0 ? { ...summary, webPaths } : summary;
  }

  #loadOf({ functions }: StoredDeployment): readonly ReturnType<FleetService["functionLoad"]>[] {
    return functions.map(({ functionId }) => this.#options.fleet.functionLoad(functionId));
  }
}

function turnOf(who: Principal, app: string): string {
  return `${who.workspaceId}/${app}`;
}

function isRunning(deployment: StoredDeployment): boolean {
  return deployment.state === "running";
}

function isReplaced(old: StoredDeployment, app: string): boolean {
  return old.app === app && old.mode === "deployed" && isRunning(old);
}

function deploymentOf(stored: StoredDeployment, leaseMs: number): Deployment {
  const { appId, app, mode, version } = stored;
  const functions = stored.functions.map((each) => deployedNameOf(stored, each));
  return { appId, app, mode, version, functions, leaseMs };
}

function checkDeployment(app: string, request: DeployRequest): void {
  const named = appNameSchema.safeParse(app);
  const checked = deployRequestSchema.safeParse(request);
  const error = named.error ?? checked.error;
  if (error === undefined) return;
  throw new PlatformError(explainIssues(`deploying app ${app.slice(0, 80)}`, error.issues), {
    code: "invalid_request",
    retryable: false,
  });
}

/** What was deployed as a version, to be deployed again. */
function againOf({ codeSha256, functions }: StoredDeployment): DeployRequest {
  return {
    mode: "deployed",
    codeSha256,
    functions: functions
      .filter(({ variant }) => variant === undefined)
      .map(({ name, spec }) => ({ name, spec })),
  };
}

/** The app's own bundle, and the archives of its Python functions. */
function codesOf({ codeSha256, functions }: DeployRequest): ReadonlySet<string> {
  const ofPython = functions.flatMap(({ spec }) => spec.python?.codeSha256 ?? []);
  return new Set([codeSha256, ...ofPython]);
}

function missingCode(sha256: string): PlatformError {
  const message = `the code ${sha256} was never uploaded; PUT it to /v1/blobs/${sha256} first`;
  return new PlatformError(message, { code: "invalid_request", retryable: false });
}

function noApp(nameOrId: string): PlatformError {
  return new PlatformError(`there is no app ${nameOrId.slice(0, 80)}`, {
    code: "not_found",
    retryable: false,
  });
}

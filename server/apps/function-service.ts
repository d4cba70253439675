/** Functions of deployed apps: listed, and scaled while they run. */
import { PlatformError, type IdSource } from "../../core/index.ts";
import type { FunctionInfo, ScalingUpdate } from "../../sdk/protocol/index.ts";
import type { FleetService, FunctionService, Principal } from "../services.ts";
import type { RecordStore, StoredDeployment, StoredFunction } from "../store/record-store.ts";
import { explainIssues } from "./explain-issues.ts";
import { findFunction, functionInfoOf, noFunction } from "./find-function.ts";
import { scalingUpdateSchema } from "./spec-schema.ts";
import { createTurns } from "./turns.ts";
import { openVariant } from "./variants.ts";

export interface FunctionServiceOptions {
  readonly store: Pick<RecordStore, "registry">;
  readonly ids: IdSource;
  readonly fleet: Pick<FleetService, "functionLoad">;
  /** The scaling of a function has changed; `stored` is how it is now. */
  readonly onScaled: (stored: StoredFunction) => Promise<void>;
}

/**
 * Functions over the record store. An update holds until the app is deployed again.
 *
 * Methods throw PlatformError: `invalid_request` names the field, `not_found` also stands for
 * what belongs to another workspace.
 */
export function createFunctionService(options: FunctionServiceOptions): FunctionService {
  const { registry } = options.store;
  const inTurn = createTurns();
  const infoOf = (stored: StoredFunction): FunctionInfo =>
    functionInfoOf(stored, options.fleet.functionLoad(stored.functionId));
  return {
    openVariant: (who, functionId, wish) => openVariant(options, who, functionId, wish),
    list: async (who, app) => {
      const deployments = await registry.list(who.workspaceId);
      const shown = deployments.filter(
        (each) => isDeployed(each) && (app ?? each.app) === each.app,
      );
      if (app !== undefined && shown.length === 0) throw noFunction(deployments, app);
      return shown.flatMap(functionsOf).map(infoOf).sort(byName);
    },
    scale: (who, app, name, update) => {
      const turn = `${who.workspaceId}/${app}/${name}`;
      return inTurn(turn, async () =>
        infoOf(await updateScaling(options, who, { app, name, update })),
      );
    },
  };
}

interface Wish {
  readonly app: string;
  readonly name: string;
  readonly update: ScalingUpdate;
}

async function updateScaling(
  options: FunctionServiceOptions,
  who: Principal,
  wish: Wish,
): Promise<StoredFunction> {
  const { app, name, update } = wish;
  const { registry } = options.store;
  const before = await findFunction(registry, who, app, name);
  const scaling = { ...before.scaling, ...checkedUpdate(update, `${app}/${name}`) };
  const { minContainers = 0, maxContainers = Infinity } = { ...before.spec, ...scaling };
  if (minContainers > maxContainers) throw crossedBounds(minContainers, maxContainers);
  const isSet = await registry.setScaling(before.functionId, scaling);
  // It was replaced a moment ago: the same is asked of its successor.
  if (!isSet) return updateScaling(options, who, wish);
  const stored = { ...before, scaling };
  await options.onScaled(stored);
  return stored;
}

function checkedUpdate(update: ScalingUpdate, what: string): ScalingUpdate {
  const checked = scalingUpdateSchema.safeParse(update);
  if (checked.success) return checked.data;
  throw invalid(explainIssues(`scaling ${what.slice(0, 160)}`, checked.error.issues));
}

function crossedBounds(minContainers: number, maxContainers: number): PlatformError {
  return invalid(
    `minContainers (${minContainers}) would be above maxContainers (${maxContainers}); ` +
      "change both in one request",
  );
}

function invalid(message: string): PlatformError {
  return new PlatformError(message, { code: "invalid_request", retryable: false });
}

function isDeployed({ mode, state }: StoredDeployment): boolean {
  return mode === "deployed" && state === "running";
}

function functionsOf({ functions, ...deployment }: StoredDeployment): readonly StoredFunction[] {
  return functions.map((each) => ({ ...each, deployment }));
}

function byName(one: FunctionInfo, other: FunctionInfo): number {
  return one.app.localeCompare(other.app) || one.name.localeCompare(other.name);
}

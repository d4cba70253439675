/** Functions of deployed apps: listed, and scaled while they run. */
import type { IdSource } from "../../core/index.ts";
import type { FunctionInfo } from "../../sdk/protocol/index.ts";
import type { FleetService, FunctionService, Principal } from "../services.ts";
import type { RecordStore, StoredDeployment, StoredFunction } from "../store/record-store.ts";
import { findFunction, functionInfoOf, noFunction, runningFunction } from "./find-function.ts";
import { updateScaling } from "./update-scaling.ts";
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
    scale: async (who, app, name, update) =>
      inTurn(turnOf(who, app), async () => {
        const find = async (): Promise<StoredFunction> => findFunction(registry, who, app, name);
        return infoOf(await updateScaling(options, find, update));
      }),
    scaleById: async (who, functionId, update) => {
      const { deployment } = await runningFunction(registry, who, functionId);
      return inTurn(turnOf(who, deployment.app), async () => {
        const find = async (): Promise<StoredFunction> =>
          runningFunction(registry, who, functionId);
        return infoOf(await updateScaling(options, find, update));
      });
    },
  };
}

/** Functions of one app are changed one after the other: some follow others. */
function turnOf({ workspaceId }: Principal, app: string): string {
  return `${workspaceId}/${app}`;
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

/**
 * An emulated Compute Engine: an HTTP server that the unmodified Google Cloud client takes for
 * the real one.
 *
 * See README.md for what it speaks and what can be set. All state is in memory and ends with
 * the emulator, and so does everything that its launcher started.
 */
import { randomUUID } from "node:crypto";
import { createRng, type Clock } from "../../../core/index.ts";
import { catalogRegions } from "../../catalog/index.ts";
import { CallJournal } from "../shared/call-journal.ts";
import { answerControl, CONTROL_PREFIX } from "../shared/control-routes.ts";
import { FaultBoard } from "../shared/fault-board.ts";
import { plainText, startLoopbackServer, type RequestHandler } from "../shared/loopback-server.ts";
import type { MachineLauncher } from "../shared/machine-launcher.ts";
import { RequestBudget } from "../shared/request-budget.ts";
import { PriceList } from "./billing/price-list.ts";
import { controlRoutes } from "./control-endpoint.ts";
import {
  BootRules,
  controlsOf,
  type ControlledState,
  type GceEmulatorControls,
} from "./controls.ts";
import { answerCall, API_PREFIX } from "./endpoint.ts";
import { EmulatedFleet } from "./fleet.ts";
import { Limits } from "./limits.ts";
import { Market } from "./market.ts";
import { answerMetadata, METADATA_PREFIX, PreemptionBell } from "./metadata.ts";
import { answerPermissions, isPermissionPath } from "./permissions.ts";
import { Operations } from "./operation.ts";
import { WaitCount, type EmulatorSettings } from "./world.ts";

export interface GceEmulatorOptions {
  readonly clock: Clock;
  /** Starts what stands for an instance; absent makes all instances phantoms. */
  readonly launcher?: MachineLauncher;
  /** What differs from the defaults: no delays, and a notice of 30 s. */
  readonly settings?: Partial<EmulatorSettings>;
  /** The one project there is; `emulated` when absent. */
  readonly projectId?: string;
  /** Absent means the regions of the built-in catalog. */
  readonly regions?: readonly string[];
  /** Port on 127.0.0.1; 0 or absent picks a free one. */
  readonly port?: number;
  /**
   * Fixes ids, and all that is left to chance. Absent draws one: then a restarted emulator does
   * not give the ids of its predecessor again.
   */
  readonly seed?: string;
}

/** A running emulator. */
export interface GceEmulator extends GceEmulatorControls {
  /** Such as `http://127.0.0.1:40123`. */
  readonly endpoint: string;
  readonly projectId: string;
  /** Ends every instance and then the server; resolves when both are gone. */
  close(): Promise<void>;
}

const DEFAULT_SETTINGS: EmulatorSettings = {
  bootMs: 0,
  shutdownMs: 0,
  operationMs: 0,
  visibilityMs: 0,
  flickerMs: 0,
  flickerFraction: 0,
  noticeMs: 30_000,
  requestMemoryMs: 86_400_000,
  latencyMs: 0,
  unreachableZones: [],
  deniedPermissions: [],
  stockoutCode: "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS",
};

/** Starts an emulator on the loopback interface. Rejects when the port is taken. */
export async function startGceEmulator(options: GceEmulatorOptions): Promise<GceEmulator> {
  const address = { endpoint: "" };
  const state = stateOf(options, address);
  const controls = controlsOf(state);
  const server = await startLoopbackServer(options.port ?? 0, handlerOf(state, controls));
  address.endpoint = server.endpoint;
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await Promise.all([server.close(), state.world.fleet.close()]);
  };
  return {
    ...controls,
    endpoint: server.endpoint,
    projectId: state.world.projectId,
    close: () => (closed ??= close()),
  };
}

function stateOf(
  options: GceEmulatorOptions,
  address: { readonly endpoint: string },
): ControlledState {
  const { clock, launcher, regions = catalogRegions("gcp"), seed = randomUUID() } = options;
  const rng = createRng(seed);
  const boots = new BootRules(rng.fork("boots"));
  const faultDraws = rng.fork("faults");
  let settings: EmulatorSettings = { ...DEFAULT_SETTINGS, ...options.settings };
  const fleet = new EmulatedFleet({
    clock,
    rng: rng.fork("instances"),
    ...(launcher === undefined ? {} : { launcher }),
    delays: () => settings,
    bootOutcome: (spec) => boots.outcomeOf(spec),
    metadataUrl: (instanceId) => `${address.endpoint}${METADATA_PREFIX}${instanceId}`,
  });
  const bell = new PreemptionBell();
  // Nobody waits for the preemption of an instance that is gone.
  fleet.onEvent(({ instanceId, status }) => {
    if (status === "gone") bell.ring(instanceId);
  });
  return {
    world: {
      clock,
      rng: rng.fork("requests"),
      projectId: options.projectId ?? "emulated",
      baseUrl: () => `${address.endpoint}/compute/v1`,
      market: new Market(regions),
      settings: () => settings,
      fleet,
      operations: new Operations({ clock, rng: rng.fork("operations") }),
      limits: new Limits(),
      waits: new WaitCount(),
      prices: new PriceList({ clock, seed, regions }),
    },
    faults: new FaultBoard(() => faultDraws.next()),
    budget: new RequestBudget(),
    journal: new CallJournal(),
    bell,
    boots,
    changeSettings: (changes) => {
      settings = { ...settings, ...changes };
    },
  };
}

function handlerOf(state: ControlledState, controls: GceEmulatorControls): RequestHandler {
  const routes = controlRoutes(controls);
  return async (request) => {
    const { pathname } = request.url;
    if (pathname.startsWith(CONTROL_PREFIX)) return answerControl(routes, request);
    if (pathname.startsWith(METADATA_PREFIX)) {
      return answerMetadata(state.world, state.bell, request);
    }
    if (isPermissionPath(pathname)) return answerPermissions(state.world, request);
    if (pathname.startsWith(API_PREFIX)) return answerCall(state, request);
    const listed = state.world.prices.answer(request);
    if (listed !== undefined) return listed;
    return plainText(404, `Compute Engine is at ${API_PREFIX}, the controls at ${CONTROL_PREFIX}`);
  };
}

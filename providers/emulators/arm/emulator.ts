/**
 * An emulated Azure Resource Manager: an HTTP server that the unmodified Azure SDKs take for
 * the real one.
 *
 * See README.md for what it speaks and what can be set. All state is in memory and ends with
 * the emulator, and so does everything that its launcher started.
 */
import { randomUUID } from "node:crypto";
import { createRng, type Clock, type Rng } from "../../../core/index.ts";
import { catalogRegions } from "../../catalog/index.ts";
import { CallJournal } from "../shared/call-journal.ts";
import { answerControl, CONTROL_PREFIX } from "../shared/control-routes.ts";
import { FaultBoard } from "../shared/fault-board.ts";
import { startLoopbackServer } from "../shared/loopback-server.ts";
import type { MachineLauncher } from "../shared/machine-launcher.ts";
import { RequestBudget } from "../shared/request-budget.ts";
import { answerArm, type ArmRecord } from "./arm-endpoint.ts";
import { Capacity } from "./capacity.ts";
import { routesOf } from "./control-endpoint.ts";
import { controlsOf, type ArmEmulatorControls, type ControlledState } from "./controls.ts";
import type { Fault } from "./faults.ts";
import { MachineFleet } from "./fleet.ts";
import type { Machine, MachineSpec } from "./machine.ts";
import { answerMetadata, METADATA_PREFIX } from "./metadata-endpoint.ts";
import { OperationBoard } from "./operations.ts";
import { dropResource } from "./resources/stored.ts";
import { RetailPrices } from "./retail-prices.ts";
import { ResourceStore } from "./resources/store.ts";
import { DEFAULT_SETTINGS, type EmulatorSettings } from "./settings.ts";
import { uuidFrom, type ResourceGroup, type World } from "./world.ts";

export interface ArmEmulatorOptions {
  readonly clock: Clock;
  /** Starts what stands for a machine; absent makes all machines phantoms. */
  readonly launcher?: MachineLauncher;
  /** Settings that differ from the defaults, which have no delays. */
  readonly settings?: Partial<EmulatorSettings>;
  /** Absent means the regions of the built-in catalog. */
  readonly regions?: readonly string[];
  /** Resource groups that exist from the start, as `subscription/group`. */
  readonly resourceGroups?: readonly string[];
  /** Port on 127.0.0.1; 0 or absent picks a free one. */
  readonly port?: number;
  /** Fixes ids and the draw of faults by chance; absent draws one. */
  readonly seed?: string;
}

/** A running emulator. */
export interface ArmEmulator extends ArmEmulatorControls {
  /** Such as `http://127.0.0.1:40123`: what a client is given as its endpoint. */
  readonly endpoint: string;
  /** Ends every machine and then the server; resolves when both are gone. */
  close(): Promise<void>;
}

/** Starts an emulator on the loopback interface. Rejects when the port is taken. */
export async function startArmEmulator(options: ArmEmulatorOptions): Promise<ArmEmulator> {
  let endpoint = "";
  const state = stateOf(options, () => endpoint);
  const controls = controlsOf(state);
  const routes = routesOf(controls);
  const server = await startLoopbackServer(options.port ?? 0, async (request) => {
    const { pathname } = request.url;
    if (pathname.startsWith(CONTROL_PREFIX)) return answerControl(routes, request);
    if (pathname.startsWith(METADATA_PREFIX)) return answerMetadata(state.world, request);
    return state.world.prices.answer(request, endpoint) ?? answerArm(state, request);
  });
  endpoint = server.endpoint;
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await Promise.all([server.close(), state.world.fleet.close()]);
  };
  return { ...controls, endpoint, close: () => (closed ??= close()) };
}

function stateOf(options: ArmEmulatorOptions, endpoint: () => string): ControlledState {
  const { seed = randomUUID() } = options;
  const rng = createRng(seed);
  let settings: EmulatorSettings = { ...DEFAULT_SETTINGS, ...options.settings };
  const world = worldOf(options, rng, { seed, settings: () => settings, endpoint });
  const chance = rng.fork("faults");
  return {
    world,
    faults: new FaultBoard<Fault>(() => chance.next()),
    journal: new CallJournal<ArmRecord>(),
    budget: new RequestBudget(),
    changeSettings: (changes) => {
      settings = { ...settings, ...changes };
    },
  };
}

interface WorldHandles {
  readonly seed: string;
  readonly settings: () => EmulatorSettings;
  readonly endpoint: () => string;
}

function worldOf(options: ArmEmulatorOptions, rng: Rng, handles: WorldHandles): World {
  const { clock, launcher, regions = catalogRegions("azure"), resourceGroups = [] } = options;
  const { settings, endpoint } = handles;
  const ids = rng.fork("ids");
  const newUuid = (): string => uuidFrom(ids);
  const operations = new OperationBoard(clock, newUuid);
  const store = new ResourceStore();
  const capacity = new Capacity();
  let sequence = 0;
  const fleet = new MachineFleet({
    clock,
    ...(launcher === undefined ? {} : { launcher }),
    settings,
    operations,
    newUuid,
    shortage: (wanted, allocated) => capacity.shortage(wanted, allocated, clock.nowMs()),
    metadataUrl: (vmId) => `${endpoint()}${METADATA_PREFIX}${vmId}`,
    onFailed: (machine) => reserve(world, machine),
    onGone: (machine) => letGo(world, machine),
  });
  const world: World = {
    clock,
    rng: rng.fork("requests"),
    regions,
    settings,
    fleet,
    store,
    operations,
    capacity,
    prices: new RetailPrices({ clock, seed: handles.seed, regions }),
    resourceGroups: new Map(resourceGroups.map((name) => groupOf(name, regions))),
    nextSequence: () => sequence++,
  };
  return world;
}

function groupOf(name: string, regions: readonly string[]): [string, ResourceGroup] {
  const [subscriptionId = "", group = ""] = name.split("/");
  const [location = ""] = regions;
  return [name.toLowerCase(), { subscriptionId, name: group, location, tags: {} }];
}

/** The interfaces of a machine whose create failed are held for it for a while. */
function reserve(world: World, { spec }: Machine): void {
  const reservedUntilMs = world.clock.nowMs() + world.settings().nicReservedMs;
  for (const { id } of spec.interfaces) {
    const found = world.store.find(id);
    if (found !== undefined) found.reservedUntilMs = reservedUntilMs;
  }
}

/** What a machine that is gone used goes with it, or stays behind, as its create said. */
function letGo(world: World, { spec }: Machine): void {
  for (const { id, deleteOption } of [...spec.interfaces, spec.osDisk]) {
    const found = world.store.find(id);
    if (found === undefined) continue;
    delete found.usedBy;
    const isHeld = (found.reservedUntilMs ?? 0) > world.clock.nowMs();
    if (deleteOption !== "Delete" || isHeld) continue;
    dropResource(world, found);
    for (const address of addressesOf(spec, id)) {
      const held = world.store.find(address.id);
      if (held !== undefined && address.deleteOption === "Delete") dropResource(world, held);
    }
  }
}

/** Public addresses that were made with an interface of a machine. */
function addressesOf({ inlineInterfaces }: MachineSpec, interfaceId: string) {
  return inlineInterfaces.find(({ id }) => id === interfaceId)?.addresses ?? [];
}

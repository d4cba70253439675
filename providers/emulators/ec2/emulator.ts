/**
 * An emulated EC2: an HTTP server that the unmodified AWS SDKs take for the real one.
 *
 * See README.md for what it speaks and what can be set. All state is in memory and ends with
 * the emulator, and so does everything that its launcher started.
 */
import { randomUUID } from "node:crypto";
import { createRng, MS_PER_HOUR, type Clock } from "../../../core/index.ts";
import { catalogRegions } from "../../catalog/index.ts";
import { CallJournal } from "../shared/call-journal.ts";
import { answerControl, CONTROL_PREFIX } from "../shared/control-routes.ts";
import { FaultBoard } from "../shared/fault-board.ts";
import { plainText, startLoopbackServer, type RequestHandler } from "../shared/loopback-server.ts";
import type { MachineLauncher } from "../shared/machine-launcher.ts";
import { RequestBudget } from "../shared/request-budget.ts";
import { Capacity } from "./capacity.ts";
import { controlRoutes } from "./control-endpoint.ts";
import { controlsOf, type ControlledState, type Ec2EmulatorControls } from "./controls.ts";
import { Fates } from "./fates.ts";
import { EmulatedFleet } from "./fleet.ts";
import { METADATA_PREFIX, MetadataEndpoint } from "./metadata-endpoint.ts";
import { answerQuery } from "./query-endpoint.ts";
import { priceUsdPerHour } from "./market.ts";
import { SpotMarket } from "../shared/spot-market.ts";
import { Timetable } from "./timetable.ts";
import type { EmulatorSettings } from "./world.ts";

export interface Ec2EmulatorOptions {
  readonly clock: Clock;
  /** Starts what stands for an instance; absent makes all instances phantoms. */
  readonly launcher?: MachineLauncher;
  /** Delays that differ from the defaults: none, and an hour of listing terminated instances. */
  readonly settings?: Partial<EmulatorSettings>;
  /** Absent means the regions of the built-in catalog. */
  readonly regions?: readonly string[];
  /** Port on 127.0.0.1; 0 or absent picks a free one. */
  readonly port?: number;
  /**
   * Fixes instance ids and request ids. Absent draws one: then a restarted emulator does not
   * give the ids of its predecessor again.
   */
  readonly seed?: string;
}

/** A running emulator. */
export interface Ec2Emulator extends Ec2EmulatorControls {
  /** Such as `http://127.0.0.1:40123`: what a client is given as its endpoint. */
  readonly endpoint: string;
  /** Ends every instance and then the server; resolves when both are gone. */
  close(): Promise<void>;
}

const DEFAULT_EMULATOR_SETTINGS: EmulatorSettings = {
  bootMs: 0,
  shutdownMs: 0,
  visibilityMs: 0,
  tagVisibilityMs: 0,
  terminatedListedMs: MS_PER_HOUR,
  flickerMs: 0,
  flickerFraction: 0,
};

/** Starts an emulator on the loopback interface. Rejects when the port is taken. */
export async function startEc2Emulator(options: Ec2EmulatorOptions): Promise<Ec2Emulator> {
  const address = { origin: "" };
  const state = stateOf(options, address);
  const controls = controlsOf(state);
  const server = await startLoopbackServer(options.port ?? 0, handlerOf(state, controls));
  address.origin = server.endpoint;
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    const { timetable, fleet } = state.world;
    timetable.close();
    const code = "Server.ScheduledStop";
    const ended = fleet.close({ code, message: `${code}: the emulator is closing` });
    await Promise.all([server.close(), ended]);
  };
  return { ...controls, endpoint: server.endpoint, close: () => (closed ??= close()) };
}

function stateOf(
  options: Ec2EmulatorOptions,
  address: { readonly origin: string },
): ControlledState {
  const { clock, launcher, regions = catalogRegions("aws"), seed = randomUUID() } = options;
  const rng = createRng(seed);
  let settings: EmulatorSettings = { ...DEFAULT_EMULATOR_SETTINGS, ...options.settings };
  const fates = new Fates();
  const metadataUrlOf = (instanceId: string): string =>
    `${address.origin}${METADATA_PREFIX}${instanceId}`;
  const fleet = new EmulatedFleet({
    clock,
    rng: rng.fork("instances"),
    ...(launcher === undefined ? {} : { launcher }),
    delays: () => settings,
    fateOf: (spec) => fates.draw(spec),
    metadataUrlOf,
  });
  const world = {
    clock,
    rng: rng.fork("requests"),
    regions,
    settings: () => settings,
    fleet,
    capacity: new Capacity(),
    tokens: new Map(),
    fleetTokens: new Map(),
    templates: [],
    spot: new SpotMarket({
      seed,
      openedAtMs: clock.nowMs(),
      baseUsdPerHour: ({ region, instanceType }) => priceUsdPerHour(region, instanceType, "spot"),
    }),
    fates,
    budget: new RequestBudget(),
    timetable: new Timetable(clock),
  };
  const faultDraws = rng.fork("faults");
  return {
    world,
    faults: new FaultBoard(() => faultDraws.next()),
    journal: new CallJournal(),
    metadataUrlOf,
    changeSettings: (changes) => {
      settings = { ...settings, ...changes };
    },
  };
}

function handlerOf(state: ControlledState, controls: Ec2EmulatorControls): RequestHandler {
  const routes = controlRoutes(controls);
  const metadata = new MetadataEndpoint(state.world);
  return (request) => {
    const { pathname } = request.url;
    if (pathname.startsWith(CONTROL_PREFIX)) return answerControl(routes, request);
    if (pathname.startsWith(METADATA_PREFIX)) return metadata.answer(request);
    if (request.method === "POST" && pathname === "/") return answerQuery(state, request);
    return plainText(404, `EC2 calls are POST /; the controls are under ${CONTROL_PREFIX}`);
  };
}

/**
 * An emulated EC2: an HTTP server that the unmodified AWS SDKs take for the real one.
 *
 * See README.md for what it speaks and what can be set. All state is in memory and ends with
 * the emulator, and so does everything that its launcher started.
 */
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { emitWarning } from "node:process";
import { assert, createRng, MS_PER_HOUR, type Clock } from "../../../core/index.ts";
import { catalogRegions } from "../../catalog/index.ts";
import type { MachineLauncher } from "../shared/machine-launcher.ts";
import { Capacity } from "./capacity.ts";
import { answerControl, CONTROL_PREFIX } from "./control-endpoint.ts";
import { controlsOf, type ControlledState, type Ec2EmulatorControls } from "./controls.ts";
import { Fates } from "./fates.ts";
import { FaultBoard } from "./faults.ts";
import { EmulatedFleet } from "./fleet.ts";
import { headerOf, readBody, send } from "./http.ts";
import { Journal } from "./journal.ts";
import { METADATA_PREFIX, MetadataEndpoint } from "./metadata-endpoint.ts";
import { answerQuery } from "./query-endpoint.ts";
import { RateLimits } from "./rate-limits.ts";
import { SpotMarket } from "./spot-market.ts";
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
  terminatedListedMs: MS_PER_HOUR,
  flickerMs: 0,
  flickerFraction: 0,
};

/** Starts an emulator on the loopback interface. Rejects when the port is taken. */
export async function startEc2Emulator(options: Ec2EmulatorOptions): Promise<Ec2Emulator> {
  const address = { origin: "" };
  const state = stateOf(options, address);
  const metadata = new MetadataEndpoint(state.world);
  const controls = controlsOf(state);
  const server = createServer((request, response) => {
    serve({ state, controls, metadata }, request, response).catch((error: unknown) => {
      // A client that goes away in the middle of its request is no bug.
      if (request.complete) reportBug(error, response);
    });
  });
  await listen(server, options.port ?? 0);
  address.origin = `http://127.0.0.1:${addressOf(server).port}`;
  let closed: Promise<void> | undefined;
  return {
    ...controls,
    endpoint: address.origin,
    close: () => (closed ??= close(state, server)),
  };
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
    spot: new SpotMarket(seed, clock.nowMs()),
    fates,
    limits: new RateLimits(clock),
    timetable: new Timetable(clock),
  };
  const faults = new FaultBoard(rng.fork("faults"));
  return {
    world,
    faults,
    journal: new Journal(),
    metadataUrlOf,
    changeSettings: (changes) => {
      settings = { ...settings, ...changes };
    },
  };
}

/** The request boundary: a bug is shown with its stack, and the next request is served. */
function reportBug(error: unknown, response: ServerResponse): void {
  emitWarning(error instanceof Error ? error : String(error));
  const body = "the emulator has a bug; its stack is on its standard error\n";
  if (response.headersSent) response.destroy();
  else send(response, { status: 500, contentType: "text/plain", body });
}

interface Served {
  readonly state: ControlledState;
  readonly controls: Ec2EmulatorControls;
  readonly metadata: MetadataEndpoint;
}

async function serve(
  { state, controls, metadata }: Served,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const contentType = "text/plain";
  const body = await readBody(request);
  const path = (request.url ?? "/").split("?")[0] ?? "/";
  const method = request.method ?? "";
  if (body === undefined) {
    send(response, { status: 413, contentType, body: "the body is too large\n" });
  } else if (path.startsWith(CONTROL_PREFIX)) {
    const control = {
      method,
      path: path.slice(CONTROL_PREFIX.length),
      contentType: headerOf(request, "content-type"),
      body,
    };
    send(response, answerControl(controls, control));
  } else if (path.startsWith(METADATA_PREFIX)) {
    send(response, metadata.answer(request, path));
  } else if (method === "POST" && path === "/") {
    answerQuery(state, request, body, response);
  } else {
    const hint = `EC2 calls are POST /; the controls are under ${CONTROL_PREFIX}\n`;
    send(response, { status: 404, contentType, body: hint });
  }
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function addressOf(server: Server): AddressInfo {
  const address = server.address();
  assert(address !== null && typeof address === "object", "the emulator listens on a port");
  return address;
}

async function close({ world }: ControlledState, server: Server): Promise<void> {
  world.timetable.close();
  const stopped = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  const code = "Server.ScheduledStop";
  await world.fleet.close({ code, message: `${code}: the emulator is closing` });
  await stopped;
}

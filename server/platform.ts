/**
 * The composition root: builds the platform from its parts and ties their ends together.
 *
 * What others stand on starts first and stops last: Redis, the record store, events, calls,
 * fleet, HTTP, and at last the machines.
 */
import { hostname } from "node:os";
import { pino, type Logger } from "pino";
import { createRng, messageOf, PlatformError } from "../core/index.ts";
import type { ManagedApps } from "./apps/app-service.ts";
import { endSandboxes } from "./apps/end-sandboxes.ts";
import { createFunctionService } from "./apps/function-service.ts";
import {
  createApps,
  forgetOwnSecrets,
  rescale,
  resume,
  workspaceIdsIn,
  type Parts,
} from "./assembly/apps.ts";
import { Closers } from "./assembly/closers.ts";
import { openContainerStreams } from "./assembly/container-streams.ts";
import { openFoundations, type Foundations } from "./assembly/foundations.ts";
import { openLocalDesk, startLocalNode, takeOver } from "./assembly/local-machine.ts";
import {
  checkIsolation,
  closeOwnNodes,
  openClouds,
  type EmulatorUrls,
} from "./assembly/machines.ts";
import { Upkeep } from "./assembly/upkeep.ts";
import { openUsage } from "./assembly/usage.ts";
import { createAuthenticator, createToken } from "./auth/tokens.ts";
import { CallDesk } from "./calls/call-desk.ts";
import type { LiveFunction } from "./calls/function-table.ts";
import { FunctionQueue } from "./calls/function-queue.ts";
import { openShelves, type Shelves } from "./assembly/shelves.ts";
import { openVolumes } from "./assembly/volumes.ts";
import type { PlatformConfig } from "./config.ts";
import { createAgentFileService } from "./fleet/agent-file-service.ts";
import { AgentFiles } from "./fleet/agent-files.ts";
import { batchTokenOf } from "./fleet/batch-joins.ts";
import { Fleet } from "./fleet/fleet.ts";
import { Leadership } from "./fleet/leadership.ts";
import { metadataCloudOf, userDataOf } from "./fleet/user-data.ts";
import { createTunnelService } from "./gateway/tunnels.ts";
import { WebGateway } from "./gateway/web-gateway.ts";
import { buildHttpServer } from "./http/server.ts";
import { SecretVault } from "./secrets/secret-vault.ts";
import { ScheduleKeeper } from "./schedules/schedule-keeper.ts";
import { createScheduleService } from "./schedules/schedule-service.ts";
import { DEFAULT_WORKSPACE } from "./workspaces/default-workspace.ts";
import type { UsageMeter } from "./usage/usage-meter.ts";
import { createTokenService } from "./workspaces/token-service.ts";
import { createWorkspaceService } from "./workspaces/workspace-service.ts";

export const VERSION = "0.1.0";

export interface Platform {
  readonly url: string;
  /** A token with which its owner can do everything. */
  readonly adminToken: string;
  /** Endpoints of its emulated clouds; their controls are under `/_emulator/` there. */
  readonly emulatorUrls: EmulatorUrls;
  /** Stops everything in order; calls that are not finished stay in the ledger. */
  close(): Promise<void>;
}

const QUEUE_PREFIX = "flotilla";
const LIST_EVERY_MS = 5_000;
const LIST_EMULATED_EVERY_MS = 1_000;

/** Starts the whole platform. @throws PlatformError when a part does not come up */
export async function startPlatform(config: PlatformConfig): Promise<Platform> {
  const logger = pino({ level: config.logLevel, base: null }, pino.destination(2));
  const closers = new Closers(
    (what) => logger.debug(`closing ${what}`),
    (error, doing) => logger.warn({ error: messageOf(error) }, doing),
  );
  await checkIsolation(config);
  try {
    const foundations = await openFoundations(config, logger, closers);
    return await assemble(config, { foundations, logger, closers });
  } catch (error) {
    await closers.close();
    throw error;
  }
}

interface Workshop {
  readonly foundations: Foundations;
  readonly logger: Logger;
  readonly closers: Closers;
}

async function assemble(config: PlatformConfig, workshop: Workshop): Promise<Platform> {
  const { foundations, logger, closers } = workshop;
  const { store, events, clock } = foundations;
  const whole: Whole = { serverUrl: "", emulatorUrls: {}, agentFiles: new AgentFiles() };
  const desk = await openLocalDesk(config, foundations, closers);
  const { meter, usage } = openUsage(config, foundations, logger);
  const calls: CallDesk = openCalls(workshop, { meter, fleet: () => fleet });
  const secrets = new SecretVault({ store, key: foundations.secretKey, clock });
  const { keeper, volumes } = openVolumes(foundations, {
    functionsAlive: () => functionsAlive(calls, fleet),
    isAlive: (containerId) => fleet.hasContainer(containerId),
  });
  const web = openGateway(foundations, calls, (...piece) => fleet.sendPiece(...piece));
  const parts = { calls, whole, secrets, volumes, meter, web };
  const fleet: Fleet = await createFleet(config, workshop, parts);
  const apps = await createApps(foundations, { calls, fleet, secrets, volumes });
  const workspaces = createWorkspaceService({ ...foundations, apps });
  const shelves = await openShelves(config, workshop, { keeper, fleet, secrets });
  whole.upkeep = createUpkeep(foundations, { calls, apps, ...shelves });

  const adminToken = await createOwnerToken(foundations);
  const services = {
    calls: calls.service,
    apps,
    functions: createFunctions(foundations, calls, fleet),
    schedules: createScheduleService(foundations),
    ...shelves,
    volumes,
    secrets,
    workspaces,
    tokens: createTokenService(foundations),
    usage,
    fleet: fleet.service,
    pool: fleet.pool,
    events,
    agents: fleet.hub,
    web,
    tunnels: createTunnelService(foundations.store.registry, foundations.key),
    ...openContainerStreams(foundations, { fleet, web, images: shelves.images }),
    agentFiles: agentFilesOf(foundations, fleet, whole),
  };
  const limit = rateLimitOf(config);
  const http = buildHttpServer({ ...foundations, ...limit, services, version: VERSION, logger });
  const { nodes } = fleet;
  await fleet.open();
  // Before anybody can connect, so that no agent comes as a node that is about to be closed.
  const left = await takeOver(desk, nodes);
  await closeOwnNodes(nodes, clock.nowMs(), left?.nodeId);
  closers.add("the records of its own nodes", () => closeOwnNodes(nodes, clock.nowMs()));
  closers.add("the fleet", () => fleet.close());
  whole.serverUrl = await listen(http, config);
  const { serverUrl, emulatorUrls } = whole;
  closers.add("HTTP", () => http.close());
  await workspaces.finishRemovals();
  await forgetOwnSecrets(foundations, secrets);
  await resume(foundations, calls, fleet);
  // Nothing is rented for what this machine can take: it joins before the fleet looks.
  await startLocalNode(config, foundations, { desk, left, nodes, serverUrl, closers });
  fleet.start();
  startSchedules(config, workshop, calls);
  return { url: serverUrl, adminToken, emulatorUrls, close: () => closers.close() };
}

function createFunctions({ store, ids }: Foundations, calls: CallDesk, fleet: Fleet) {
  return createFunctionService({
    store,
    ids,
    fleet: fleet.service,
    onScaled: (stored) => rescale(stored, calls, fleet),
  });
}

/** Functions that have containers, or may get some. */
function functionsAlive({ functions }: CallDesk, { service }: Fleet): readonly LiveFunction[] {
  return functions
    .all()
    .filter((live) => !live.retired || service.functionLoad(live.functionId).containers > 0);
}

function agentFilesOf({ key }: Foundations, { nodes }: Fleet, { agentFiles: files }: Whole) {
  return createAgentFileService({ files, nodes, key });
}

function rateLimitOf({
  requestsPerSecondMax,
}: PlatformConfig): Pick<PlatformConfig, "requestsPerSecondMax"> {
  return requestsPerSecondMax === undefined ? {} : { requestsPerSecondMax };
}

function openGateway(
  foundations: Foundations,
  calls: CallDesk,
  sendPiece: Fleet["sendPiece"],
): WebGateway {
  const { store, clock } = foundations;
  return new WebGateway({
    ...foundations,
    calls: calls.service,
    callOf: (callId) => store.calls.get(callId),
    registry: store.registry,
    authenticator: createAuthenticator(store.tokens, clock),
    sendPiece,
  });
}

async function createOwnerToken({ store, clock, ids }: Foundations): Promise<string> {
  const owner = { workspaceId: DEFAULT_WORKSPACE, name: "owner", kind: "user" } as const;
  const token = { ...owner, scopes: ["operator"] } as const;
  return (await createToken(store.tokens, token, { clock, ids })).token;
}

function openQueue({ redis, clock, onError }: Foundations, functionId: string): FunctionQueue {
  return new FunctionQueue({
    functionId,
    connection: redis,
    prefix: QUEUE_PREFIX,
    nowMs: () => clock.nowMs(),
    onError: (error) => onError(error, `reaching the queue of ${functionId}`),
  });
}

/** @throws PlatformError `conflict` when the address is taken or not this machine's. */
async function listen(
  http: ReturnType<typeof buildHttpServer>,
  { host, port }: PlatformConfig,
): Promise<string> {
  try {
    return await http.listen({ host, port });
  } catch (error) {
    throw new PlatformError(
      `cannot listen on ${host}:${port} (${messageOf(error)}); ` +
        "stop what uses it, or choose another with --port and --host",
      { code: "conflict", retryable: false, cause: error },
    );
  }
}

/** What is known only once everything is built. */
interface Whole {
  serverUrl: string;
  emulatorUrls: EmulatorUrls;
  readonly agentFiles: AgentFiles;
  upkeep?: Upkeep;
}

async function createFleet(
  config: PlatformConfig,
  workshop: Workshop,
  parts: Pick<Parts, "calls" | "secrets" | "volumes"> & {
    readonly web: WebGateway;
    readonly whole: Whole;
    readonly meter: UsageMeter;
  },
): Promise<Fleet> {
  const { calls, whole, secrets, volumes, meter, web } = parts;
  const { policy } = config;
  const { foundations, closers } = workshop;
  const { providers, emulatorUrls } = await openClouds(config, foundations, closers);
  whole.emulatorUrls = emulatorUrls;
  if (providers.size > 0) prepareFiles(whole.agentFiles, foundations);
  return new Fleet({
    ...foundations,
    calls,
    meter,
    providers,
    policy,
    rng: createRng(foundations.clusterId),
    version: VERSION,
    listEveryMs: config.emulatedClouds === undefined ? LIST_EVERY_MS : LIST_EMULATED_EVERY_MS,
    workspaceId: DEFAULT_WORKSPACE,
    leadership: openLeadership(config, workshop, "pool"),
    userDataFor: async (clientToken, { offers }) =>
      userDataOf(
        {
          serverUrl: config.publicUrl ?? whole.serverUrl,
          token: batchTokenOf(clientToken, foundations.key),
          rented: { batch: clientToken, cloud: metadataCloudOf(offers) },
          ...(config.egressOpenRanges && { egressOpenRanges: config.egressOpenRanges }),
          ...(config.peerPort === undefined ? {} : { peerPort: config.peerPort }),
        },
        await whole.agentFiles.all(),
      ),
    streams: web.streams,
    claimWeb: (input, containerId) => web.claim(input, containerId),
    secretsOf: (live) => secrets.valuesFor(live, live.spec.secrets),
    volumesOf: (live, containerId) => volumes.startsOf(live, containerId, live.spec.volumes),
    onMaintain: async (nowMs) => whole.upkeep?.run(nowMs),
  });
}

/** The call side; the fleet is made after it. */
function openCalls(
  { foundations, closers }: Workshop,
  { meter, fleet }: { readonly meter: UsageMeter; readonly fleet: () => Fleet },
): CallDesk {
  const calls = new CallDesk({
    ...foundations,
    blobs: foundations.payloadBlobs,
    refusalOf: (live) => meter.callRefusal(live),
    openQueue: (functionId) => openQueue(foundations, functionId),
    sendInputs: (containerId, inputs) => fleet().sendInputs(containerId, inputs),
    takeBack: (containerId, inputIds, abort) => fleet().takeBack(containerId, inputIds, abort),
    sendCredit: (...credit) => fleet().sendCredit(...credit),
    onLoadChanged: () => fleet().kickPlace(),
    onRecorded: (settlement, gpuMs) => {
      foundations.metrics.inputsFinished(settlement.outcome, 1);
      fleet().noteUse(settlement, gpuMs);
    },
  });
  closers.add("calls", () => calls.close());
  return calls;
}

/** The right to keep the pool or the schedules, which one of the servers on a Redis and a record store has. */
function openLeadership(
  { dataDir }: PlatformConfig,
  { foundations, logger }: Workshop,
  name: "pool" | "schedules",
): Leadership {
  const { leases, store, clock, onError } = foundations;
  const holder = `${hostname()}:${dataDir}`;
  return new Leadership({
    redis: leases,
    fences: store.fences,
    clock,
    name,
    holder,
    onChange: (change) => logger.info({ holder }, `this server ${change} the ${name}`),
    onError,
  });
}

/** Calls functions by schedule, on the one server that holds the lease of that. */
function startSchedules(config: PlatformConfig, workshop: Workshop, calls: CallDesk): void {
  const schedules = new ScheduleKeeper({
    ...workshop.foundations,
    calls: calls.service,
    leadership: openLeadership(config, workshop, "schedules"),
  });
  workshop.closers.add("schedules", () => schedules.close());
  schedules.start();
}

/** Makes what machines will fetch before the first one is rented; a failure comes up then. */
function prepareFiles(files: AgentFiles, { onError }: Foundations): void {
  files.all().catch((error: unknown) => onError(error, "making the files of the node agent"));
}

function createUpkeep(
  { store, sweepBlobs, onError }: Foundations,
  {
    calls,
    apps,
    images,
    snapshots,
  }: Pick<Parts, "calls"> & Pick<Shelves, "images" | "snapshots"> & { readonly apps: ManagedApps },
): Upkeep {
  return new Upkeep({
    store,
    calls,
    apps,
    sweepBlobs,
    endSandboxes: async (nowMs) =>
      endSandboxes(apps, await workspaceIdsIn(store), { nowMs, onError }),
    collectChunks: () => {
      // Nothing else waits for it: a bucket may take minutes to be listed.
      const collected = images.collect().then(() => snapshots.collect());
      collected.catch((error: unknown) => onError(error, "removing chunks that nothing needs"));
      return Promise.resolve();
    },
  });
}

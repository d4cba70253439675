/**
 * This machine as a cloud with one machine to rent: the node agent that runs on it.
 *
 * To rent is to start the agent, to release is to end it with all that it ran. What was rented
 * is in a book on disk, and whether it still runs is asked of the kernel at every listing, by
 * pid and start; so the answers are the same after a crash of the control plane, whose agent is
 * found again and can be given back. Calls are carried out one after another.
 */
import { createHash } from "node:crypto";
import {
  messageOf,
  offerIdOf,
  PlatformError,
  type Clock,
  type GpuType,
  type MicroUsd,
  type Offer,
  type Resources,
} from "../../core/index.ts";
import {
  BATCH_TAG,
  type Interruption,
  type Provider,
  type NodeListing,
  type ProviderNode,
  type RentOutcome,
  type RentRequest,
} from "../provider.ts";
import { attemptOf, detailsOf, placeOfRent, tokenConflict } from "../rent-request.ts";
import type { AgentHost } from "./agent-host.ts";
import { MachineBook, type BookedMachine } from "./machine-book.ts";
import { processIdentity } from "./process-identity.ts";

/** What this machine has for containers. */
export interface LocalMachine {
  readonly resources: Resources;
  /** Absent without GPUs. */
  readonly gpuType?: GpuType;
  /** Whether its GPUs are declared and not there. */
  readonly emulated: boolean;
}

export interface LocalProviderOptions {
  readonly machine: LocalMachine;
  /** What the machine costs its owner; 0 when absent. */
  readonly priceMicroUsdPerHour?: MicroUsd;
  /** 0 sells nothing, and still lists and releases what was rented before; 1 when absent. */
  readonly nodeCountMax?: 0 | 1;
  /** File in which its machines are kept; nobody else writes it. */
  readonly bookPath: string;
  readonly host: AgentHost;
  readonly clock: Clock;
  /** Names the living process of a pid; asks the kernel when absent. */
  readonly identityOf?: (pid: number) => Promise<string | undefined>;
}

/** The one region and the one instance type of this machine. */
const REGION = "local";
const INSTANCE_TYPE = "this-machine";

/**
 * An agent that has run so long is taken to be up. Measured 2026-11 under gVisor on 2 cores, 5
 * starts: 0.34 to 0.44 s from the rent to the node being healthy.
 */
const BOOT_MS = 500;
const ID_CHARACTERS = 12;

/** Opens the rental desk of this machine; reads and starts nothing yet. */
export function createLocalProvider(options: LocalProviderOptions): Provider {
  return new LocalProvider(options);
}

class LocalProvider implements Provider {
  readonly cloud = "local";
  readonly #options: LocalProviderOptions;
  readonly #book: MachineBook;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: LocalProviderOptions) {
    this.#options = options;
    this.#book = new MachineBook(options.bookPath);
  }

  listOffers(): Promise<readonly Offer[]> {
    return this.#inTurn(async () => {
      const nodeCountMax = Math.max(0, this.#nodeCountMax - (await this.#live()).length);
      return [{ ...this.#offer(), nodeCountMax }];
    });
  }

  rent(request: RentRequest): Promise<RentOutcome> {
    return this.#inTurn(() => this.#rent(request));
  }

  release(providerNodeIds: readonly string[]): Promise<void> {
    return this.#inTurn(async () => {
      for (const machine of await this.#settled()) {
        const isMeant = providerNodeIds.includes(machine.machineId);
        if (!isMeant || machine.releasedAtMs !== undefined) continue;
        await this.#options.host.end(machine.machineId);
        const nowMs = this.#now();
        this.#book.put({ ...machine, releasedAtMs: nowMs }, nowMs);
      }
    });
  }

  listNodes(): Promise<NodeListing> {
    return this.#inTurn(async () => {
      const nowMs = this.#now();
      const nodes = (await this.#settled()).map((machine) => nodeOf(machine, nowMs));
      return { nodes, unseen: [] };
    });
  }

  /** Nobody takes this machine back. */
  interruptions(): Promise<readonly Interruption[]> {
    return Promise.resolve([]);
  }

  /** Ends nothing: what runs goes on until it is released. */
  async close(): Promise<void> {
    await this.#turn;
  }

  async #rent(request: RentRequest): Promise<RentOutcome> {
    placeOfRent(request, { cloud: this.cloud, regions: [REGION] });
    const { offerId } = this.#offer();
    if (request.offers.some((offer) => offer.offerId !== offerId)) throw notSold(request, offerId);
    const known = (await this.#settled()).find((one) => one.clientToken === request.clientToken);
    if (known !== undefined) {
      if (known.nodeIds.join() !== request.nodeIds.join()) throw tokenConflict(request);
      return outcomeOf(known, offerId);
    }
    if ((await this.#live()).length >= this.#nodeCountMax) return shortOf(offerId);
    return outcomeOf(await this.#start(request), offerId);
  }

  /** Starts the agent of a request, its intent in the book before. */
  async #start(request: RentRequest): Promise<BookedMachine> {
    const { clientToken, nodeIds, tags, userData } = request;
    const { host } = this.#options;
    const launchedAtMs = this.#now();
    const machineId = machineIdOf(clientToken);
    const machine = { machineId, clientToken, nodeIds, tags, launchedAtMs };
    this.#book.put(machine, launchedAtMs);
    let pid: number;
    try {
      pid = await host.launch({ machineId, userData });
    } catch (error) {
      if (error instanceof PlatformError) throw error;
      throw new PlatformError(`cannot ${attemptOf(request)}: ${messageOf(error)}; ask again`, {
        code: "unavailable",
        retryable: true,
        details: detailsOf(request),
        cause: error,
      });
    }
    return this.#noteAgent(machine, pid);
  }

  /** The machines of the book, those that began or ended since the last look written down. */
  async #settled(): Promise<readonly BookedMachine[]> {
    for (const machine of this.#book.all()) {
      if (machine.releasedAtMs !== undefined || machine.endedAtMs !== undefined) continue;
      if (machine.agent === undefined) await this.#settleIntent(machine);
      else if (!(await this.#isRunning(machine.agent))) this.#noteEnd(machine);
    }
    return this.#book.all();
  }

  /** A start whose outcome nobody heard of: there is an agent, or there never was. */
  async #settleIntent(machine: BookedMachine): Promise<void> {
    const pid = await this.#options.host.find(machine.machineId);
    if (pid === undefined) this.#book.remove(machine.machineId, this.#now());
    else await this.#noteAgent(machine, pid);
  }

  async #noteAgent(machine: BookedMachine, pid: number): Promise<BookedMachine> {
    const identity = await this.#identityOf(pid);
    // One that has ended already has no name any more, and matches none.
    const started = { ...machine, agent: { pid, identity: identity ?? "" } };
    this.#book.put(started, this.#now());
    return started;
  }

  #noteEnd(machine: BookedMachine): void {
    const nowMs = this.#now();
    this.#book.put({ ...machine, endedAtMs: nowMs }, nowMs);
  }

  async #isRunning({ pid, identity }: NonNullable<BookedMachine["agent"]>): Promise<boolean> {
    return (await this.#identityOf(pid)) === identity;
  }

  #identityOf(pid: number): Promise<string | undefined> {
    return (this.#options.identityOf ?? processIdentity)(pid);
  }

  async #live(): Promise<readonly BookedMachine[]> {
    return (await this.#settled()).filter(isLive);
  }

  get #nodeCountMax(): number {
    return this.#options.nodeCountMax ?? 1;
  }

  /** What is sold, as if nothing of it were taken. */
  #offer(): Offer {
    const { machine, priceMicroUsdPerHour = 0 } = this.#options;
    const offer = {
      cloud: this.cloud,
      region: REGION,
      instanceType: INSTANCE_TYPE,
      purchase: "on-demand",
      ...machine,
      priceMicroUsdPerHour,
      reclaimFractionPerHour: 0,
      bootMs: BOOT_MS,
      nodeCountMax: this.#nodeCountMax,
      quotaGroups: [],
    } as const;
    return { offerId: offerIdOf(offer), ...offer };
  }

  /** Has a call wait for those before it, whatever came of them. */
  #inTurn<T>(call: () => Promise<T>): Promise<T> {
    const answer = this.#turn.then(call);
    this.#turn = answer.catch(() => undefined);
    return answer;
  }

  #now(): number {
    return this.#options.clock.nowMs();
  }
}

/** One token, one machine: equal requests mean the same one. */
function machineIdOf(clientToken: string): string {
  const digest = createHash("sha256").update(clientToken).digest("hex");
  return `local-${digest.slice(0, ID_CHARACTERS)}`;
}

function isLive({ releasedAtMs, endedAtMs }: BookedMachine): boolean {
  return releasedAtMs === undefined && endedAtMs === undefined;
}

function nodeOf(machine: BookedMachine, nowMs: number): ProviderNode {
  const { machineId, clientToken, nodeIds, tags, launchedAtMs } = machine;
  const [nodeId] = nodeIds;
  const isBooting = nowMs - launchedAtMs < BOOT_MS;
  const state = isLive(machine) ? (isBooting ? "booting" : "running") : "terminated";
  return {
    providerNodeId: machineId,
    ...(nodeId === undefined ? {} : { nodeId }),
    clientToken,
    state,
    launchedAtMs,
    tags: { ...tags, [BATCH_TAG]: clientToken },
  };
}

function outcomeOf({ machineId, nodeIds }: BookedMachine, offerId: string): RentOutcome {
  const [nodeId, ...others] = nodeIds;
  const rented =
    nodeId === undefined ? [] : [{ nodeId, providerNodeId: machineId, offerId } as const];
  return { rented, refusals: others.length === 0 ? [] : shortOf(offerId).refusals };
}

/** There is one machine, and it is taken or not for rent. */
function shortOf(offerId: string): RentOutcome {
  const reason = "this machine is one machine, which is rented already or not for rent";
  return { rented: [], refusals: [{ offerId, reason, scope: { kind: "offer" } }] };
}

function notSold(request: RentRequest, offerId: string): PlatformError {
  const message = `cannot ${attemptOf(request)}: only ${offerId} is sold here; list the offers again`;
  const details = detailsOf(request);
  return new PlatformError(message, { code: "invalid_request", retryable: false, details });
}

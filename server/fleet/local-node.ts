/**
 * This machine as a node: rented from its own provider, and rented anew whenever its agent ends.
 *
 * It costs nothing that could be saved, so that it stands outside the pool's plans: always
 * wanted, never drained, given back when the platform stops. Each look lists the machine; when
 * it does not run, whatever is left of it is released and it is rented under a new token, as the
 * same node. Nothing is concluded from a listing that fails.
 *
 * A platform that was killed leaves its machine running: the next one takes it over, as the node
 * that it was, if its agent comes back in time.
 */
import { messageOf, PlatformError, type Clock, type Node, type Offer } from "../../core/index.ts";
import { CLUSTER_TAG } from "../../pool/index.ts";
import type { Provider, ProviderNode } from "../../providers/index.ts";
import type { NodeTable } from "./node-table.ts";

export interface LocalNodeOptions {
  readonly nodeId: string;
  /** The machine that a killed platform left as this node; absent: there is none. */
  readonly leftMachineId?: string;
  /** What is noted on the machine beside its cluster. */
  readonly tags?: Readonly<Record<string, string>>;
  readonly isolation: Node["isolation"];
  /** The desk of this machine. */
  readonly provider: Provider;
  readonly nodes: NodeTable;
  readonly clusterId: string;
  /** What its agent starts with, by the offer; its join token is good once, so it is made anew. */
  readonly userDataFor: (offer: Offer) => Promise<string>;
  /** The end of what the agent of a machine has written. */
  readonly logTail: (machineId: string) => string;
  readonly clock: Clock;
  readonly onError: (error: unknown, doing: string) => void;
}

const REASON = "this machine is part of the fleet";
const LOOK_MS = 500;
/** From the rent of the machine to its agent's first connection, its base image built meanwhile. */
const JOIN_MS_MAX = 60_000;
const JOIN_POLL_MS = 10;
/** How long an agent that was left may take to come back; it tries at least every 3 s. */
const RETURN_MS_MAX = 15_000;

/** Releases every machine that a desk lists, also what is left of those that have ended. */
export async function giveBackAll(provider: Provider): Promise<void> {
  const { nodes: machines } = await provider.listNodes();
  await provider.release(machines.map(({ providerNodeId }) => providerNodeId));
}

/** Keeps this machine rented until `close`. */
export class LocalNode {
  readonly #options: LocalNodeOptions;
  readonly #closing = new AbortController();
  #loop: Promise<void> | undefined;
  /** The machine rented last. */
  #machineId: string | undefined;
  /** When an agent that was left must be back; undefined once it is, or when none was left. */
  #backByMs: number | undefined;
  /** Why the last rent led to nothing that runs. */
  #failure: string | undefined;

  constructor(options: LocalNodeOptions) {
    this.#options = options;
    this.#machineId = options.leftMachineId;
  }

  start(): void {
    if (this.#machineId !== undefined) {
      this.#backByMs = this.#options.clock.nowMs() + RETURN_MS_MAX;
    }
    this.#loop = this.#keepRented();
  }

  /**
   * Resolves once its agent is there.
   *
   * @throws PlatformError `unavailable`, with the end of its log, when it ends instead, cannot be
   *   started, or takes too long.
   */
  async untilJoined(): Promise<void> {
    const { clock, nodes, nodeId } = this.#options;
    const deadlineMs = clock.nowMs() + JOIN_MS_MAX;
    while (nodes.get(nodeId)?.connected !== true) {
      if (this.#failure !== undefined) throw this.#notJoined(this.#failure);
      if (clock.nowMs() > deadlineMs) {
        throw this.#notJoined(`has not joined after ${JOIN_MS_MAX / 1000} s`);
      }
      await clock.sleep(JOIN_POLL_MS);
    }
  }

  /** Gives the machine back: the next start is another node. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#loop;
    await giveBackAll(this.#options.provider);
  }

  async #keepRented(): Promise<void> {
    const { clock, onError } = this.#options;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await this.#look();
      } catch (error) {
        if (this.#machineId === undefined) this.#failure ??= `cannot start: ${messageOf(error)}`;
        onError(error, "keeping the node agent of this machine");
      }
      await clock.sleep(LOOK_MS, signal);
    }
  }

  async #look(): Promise<void> {
    const { provider, nodes, nodeId, clock } = this.#options;
    const { nodes: machines } = await provider.listNodes();
    if (nodes.get(nodeId)?.connected === true) this.#backByMs = undefined;
    const isLate = this.#backByMs !== undefined && clock.nowMs() > this.#backByMs;
    const isOurs = ({ providerNodeId }: ProviderNode): boolean =>
      providerNodeId === this.#machineId;
    if (!isLate && machines.some((machine) => isOurs(machine) && isUp(machine))) return;
    // That one which was left does not come back is no failure of this start.
    const isNew = this.#machineId !== undefined && this.#backByMs === undefined;
    if (isNew) this.#failure ??= "ended at its start";
    this.#backByMs = undefined;
    await giveBackAll(provider);
    await this.#rent();
  }

  async #rent(): Promise<void> {
    const { provider, nodes, nodeId, clusterId, tags, userDataFor } = this.#options;
    const [offer] = await provider.listOffers();
    if (offer === undefined) return;
    const rentCount = rentCountIn(nodes.get(nodeId)?.stored.clientToken) + 1;
    const clientToken = `${nodeId}-${rentCount}`;
    await this.#record(offer, clientToken);
    const { rented, refusals } = await provider.rent({
      offers: [offer],
      nodeIds: [nodeId],
      clientToken,
      userData: await userDataFor(offer),
      tags: { ...tags, [CLUSTER_TAG]: clusterId },
    });
    const [machine] = rented;
    if (machine === undefined) {
      const why = refusals.map(({ reason }) => reason).join("; ");
      throw new PlatformError(`cannot rent this machine as node ${nodeId}: ${why}`, {
        code: "capacity_unavailable",
        retryable: true,
      });
    }
    this.#machineId = machine.providerNodeId;
    const { providerNodeId } = machine;
    await this.#options.nodes.update(nodeId, { providerNodeId }, this.#options.clock.nowMs());
  }

  /** Writes the intent down, before the provider is asked; a node that is known stays what it is. */
  async #record(offer: Offer, clientToken: string): Promise<void> {
    const { nodes, nodeId, isolation, clock } = this.#options;
    const nowMs = clock.nowMs();
    const known = nodes.get(nodeId)?.stored;
    const times = { requestedAtMs: nowMs, launchedAtMs: nowMs };
    const node = nodeBy(offer, { nodeId, isolation, nowMs });
    const stored = known ?? { node, reason: REASON, ...times, gpuMsUsed: 0 };
    await nodes.put([{ ...stored, clientToken }], nowMs);
  }

  #notJoined(what: string): PlatformError {
    const log = this.#machineId === undefined ? "" : this.#options.logTail(this.#machineId);
    return new PlatformError(
      `the node agent of this machine ${what}; see \`flotilla doctor\`. Its log ends:\n${log}`,
      { code: "unavailable", retryable: false },
    );
  }
}

/** The node of an offer of this machine; without the offer's id, since no plan speaks of it. */
function nodeBy(
  offer: Offer,
  is: { readonly nodeId: string; readonly isolation: Node["isolation"]; readonly nowMs: number },
): Node {
  const { cloud, region, instanceType, purchase, gpuType, resources, emulated } = offer;
  return {
    nodeId: is.nodeId,
    cloud,
    region,
    instanceType,
    purchase,
    ...(gpuType === undefined ? {} : { gpuType }),
    resources,
    priceMicroUsdPerHour: offer.priceMicroUsdPerHour,
    state: "booting",
    stateSinceMs: is.nowMs,
    emulated,
    isolation: is.isolation,
  };
}

/** How often a node was rented, as the token of its last rent says. */
function rentCountIn(clientToken: string | undefined): number {
  return Number(clientToken?.split("-").at(-1) ?? 0);
}

/** Whether a machine runs, or will. */
export function isUp({ state }: ProviderNode): boolean {
  return state === "booting" || state === "running";
}

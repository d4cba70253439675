/**
 * This machine as a node: rented from its own provider, and rented anew whenever its agent ends.
 *
 * It costs nothing that could be saved, so that it stands outside the pool's plans: always
 * wanted, never drained, given back when the platform stops. Each look lists the machine; when
 * it does not run, whatever is left of it is released and it is rented under a new token, as the
 * same node. Nothing is concluded from a listing that fails.
 */
import { messageOf, PlatformError, type Clock, type Node, type Offer } from "../../core/index.ts";
import { CLUSTER_TAG } from "../../pool/index.ts";
import type { Provider, ProviderNode } from "../../providers/index.ts";
import type { NodeTable } from "./node-table.ts";

export interface LocalNodeOptions {
  readonly nodeId: string;
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
  #rentCount = 0;
  /** Why the last rent led to nothing that runs. */
  #failure: string | undefined;

  constructor(options: LocalNodeOptions) {
    this.#options = options;
  }

  start(): void {
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
    const { provider } = this.#options;
    const { nodes: machines } = await provider.listNodes();
    if (machines.some((machine) => machine.providerNodeId === this.#machineId && isUp(machine))) {
      return;
    }
    if (this.#machineId !== undefined) this.#failure ??= "ended at its start";
    await giveBackAll(provider);
    await this.#rent();
  }

  async #rent(): Promise<void> {
    const { provider, nodeId, clusterId, userDataFor } = this.#options;
    const [offer] = await provider.listOffers();
    if (offer === undefined) return;
    this.#rentCount += 1;
    const clientToken = `${nodeId}-${this.#rentCount}`;
    await this.#record(offer, clientToken);
    const { rented, refusals } = await provider.rent({
      offers: [offer],
      nodeIds: [nodeId],
      clientToken,
      userData: await userDataFor(offer),
      tags: { [CLUSTER_TAG]: clusterId },
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

function isUp({ state }: ProviderNode): boolean {
  return state === "booting" || state === "running";
}

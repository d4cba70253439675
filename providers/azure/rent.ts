/** Renting a batch: its machines side by side, and the memory of what was asked before. */
import { PlatformError, type Clock } from "../../core/index.ts";
import type { RentOutcome, RentRequest } from "../provider.ts";
import { attemptOf, detailsOf } from "../rent-request.ts";
import type { AzureCalls } from "./calls.ts";
import type { LaunchSettings } from "./launch.ts";
import { rentMachine, type RentWaits } from "./machine-rent.ts";
import { OfferBoard } from "./offer-board.ts";
import { StateBoard } from "./state-board.ts";

/** What renting needs beside the request. */
export interface RentTools {
  readonly calls: AzureCalls;
  readonly clock: Clock;
  readonly settings: LaunchSettings;
  readonly waits: RentWaits;
}

/**
 * Machines of a batch that are asked for at once. Each that meets a shortage costs a create and
 * a delete before the batch knows of it, so this bounds what a shortage costs.
 */
const SIDE_BY_SIDE_MAX = 16;

/**
 * Rents for all nodes of a request, as far as its offers go.
 *
 * @throws PlatformError when the outcome of any is unknown; the same request again tells.
 */
export async function rentBatch(tools: RentTools, request: RentRequest): Promise<RentOutcome> {
  const board = new OfferBoard(request.offers);
  const desk = { ...tools, request, board, states: new StateBoard(tools.calls, tools.clock) };
  const left = [...request.nodeIds.entries()];
  const found = new Map<number, Awaited<ReturnType<typeof rentMachine>>>();
  const failures: unknown[] = [];
  const work = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const [place, nodeId] = next;
      try {
        found.set(place, await rentMachine(desk, nodeId));
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE_MAX }, work));
  if (failures.length > 0) throw gravest(failures);
  const rented = request.nodeIds.flatMap((_, place) => found.get(place) ?? []);
  return { rented, refusals: board.refusals };
}

/** Bugs before failures that repeating does not mend, and those before the rest. */
function gravest(failures: readonly unknown[]): unknown {
  const bug = failures.find((one) => !(one instanceof PlatformError));
  const lasting = failures.find((one) => one instanceof PlatformError && !one.retryable);
  return bug ?? lasting ?? failures[0];
}

interface Remembered {
  readonly nodeIds: string;
  readonly outcome: Promise<RentOutcome>;
}

/** Batches that are remembered, the latest; older ones are found again by their names. */
const BATCH_COUNT_MAX = 1_000;

/**
 * The batches this process was asked for, by client token.
 *
 * A request that is sent again while the first runs shares its outcome, and one whose outcome
 * is known gets it again: Azure itself keeps no trace of a batch whose machines are gone. After
 * a restart machines that exist are found by their names.
 */
export class BatchMemory {
  readonly #batches = new Map<string, Remembered>();

  /**
   * Rents a batch once.
   *
   * @throws PlatformError `conflict` for a token that was used for other nodes.
   */
  once(request: RentRequest, rent: () => Promise<RentOutcome>): Promise<RentOutcome> {
    const { clientToken } = request;
    const nodeIds = [...request.nodeIds].sort().join(" ");
    const known = this.#batches.get(clientToken);
    if (known === undefined) return this.#begin(clientToken, nodeIds, rent);
    if (known.nodeIds === nodeIds) return known.outcome;
    throw new PlatformError(
      `could not ${attemptOf(request)}: client token ${clientToken} was used for other nodes; ` +
        "use a new token",
      { code: "conflict", retryable: false, details: detailsOf(request) },
    );
  }

  #begin(
    clientToken: string,
    nodeIds: string,
    rent: () => Promise<RentOutcome>,
  ): Promise<RentOutcome> {
    const outcome = rent();
    this.#batches.set(clientToken, { nodeIds, outcome });
    // An outcome that is not known must be asked for again.
    outcome.catch(() => this.#batches.delete(clientToken));
    const [oldest] = this.#batches.keys();
    if (this.#batches.size > BATCH_COUNT_MAX && oldest !== undefined) this.#batches.delete(oldest);
    return outcome;
  }
}

/**
 * Rents: makes requests and writes what came of them.
 *
 * The intent is in the ledger before the provider is asked. Whatever the provider refuses is
 * remembered at once, so that the next choice of the same tick leaves it out; an answer that
 * leaves the outcome open ends the action, since another offer may be asked for only when the
 * first request certainly led to nothing.
 */
import { assert, type Clock, type IdSource, type Offer } from "../core/index.ts";
import { RENT_COUNT_MAX, type RentedMachine } from "../providers/index.ts";
import type { Move, PoolBook } from "./book.ts";
import { LaunchLimiter, type LaunchBuckets, type LaunchRate } from "./launch-rate.ts";
import type { PoolLedger, PoolRecord, RentBatch } from "./ports.ts";
import type { ProviderDesk } from "./provider-desk.ts";
import type { ActionOf } from "./actions.ts";
import {
  clientTokenOf,
  newRecords,
  rentedBy,
  rentRequestOf,
  resultOf,
  type Rent,
  type RentAnswer,
} from "./renting.ts";

export interface RenterOptions {
  readonly ledger: PoolLedger;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly clusterId: string;
  /** A tag of all machines; absent means none. */
  readonly owner?: string | undefined;
  /** What the machines of a batch are given at their first boot; the same each time. */
  readonly userDataFor: (rent: Rent) => Promise<string> | string;
  /** Most nodes of one request; `RENT_COUNT_MAX` when absent. */
  readonly batchCountMax?: number;
  readonly book: PoolBook;
  readonly desk: ProviderDesk;
  readonly rate: LaunchRate;
}

/** What the rents of one tick share. */
export interface RentTurn {
  readonly offers: ReadonlyMap<string, Offer>;
  /** Regions that failed in this tick, by `regionKey`; they are asked again in the next. */
  readonly failedRegions: Set<string>;
}

/** Makes the rents that were decided. */
export class Renter {
  readonly #options: RenterOptions;
  readonly #launches: LaunchLimiter;

  constructor(options: RenterOptions) {
    this.#options = options;
    this.#launches = new LaunchLimiter(options.rate);
  }

  /** What may be launched at once. */
  get launches(): LaunchBuckets {
    return this.#launches.buckets;
  }

  set launches(buckets: LaunchBuckets) {
    this.#launches.buckets = buckets;
  }

  /** Asks for the choices in turn, each for what the ones before it did not give. */
  async rent(action: ActionOf<"rent">, turn: RentTurn): Promise<void> {
    let left = action.count;
    for (const choice of action.choices) {
      while (left > 0) {
        const asked = await this.#rentChoice(action, choice, { turn, count: left });
        if (asked.kind === "nothing-to-ask") break;
        if (asked.kind === "unknown") return;
        left -= asked.rentedCount;
        if (asked.rentedCount < asked.askedCount) break;
      }
    }
  }

  /** One request by what is still open of a choice, within the launch rate. */
  async #rentChoice(
    { reason, planId }: ActionOf<"rent">,
    choice: readonly string[],
    { turn, count }: { readonly turn: RentTurn; readonly count: number },
  ): Promise<Asked> {
    const nowMs = this.#options.clock.nowMs();
    const offers = choice
      .flatMap((id) => turn.offers.get(id) ?? [])
      .filter((offer) => {
        if (turn.failedRegions.has(regionKey(offer))) return false;
        return this.#options.book.refusalOf(offer) === undefined;
      });
    const [best] = offers;
    if (best === undefined) return { kind: "nothing-to-ask" };
    const batchCount = Math.min(count, this.#options.batchCountMax ?? RENT_COUNT_MAX);
    const askedCount = this.#launches.take(best.cloud, batchCount, nowMs);
    if (askedCount === 0) return { kind: "nothing-to-ask" };
    const nodeIds = Array.from({ length: askedCount }, () => this.#options.ids.next("no"));
    const batch = { nodeIds, offers, ...(planId === undefined ? {} : { planId }) };
    const records = newRecords(batch, { reason, nowMs });
    await this.#options.ledger.put(records);
    for (const { node } of records)
      this.#options.book.emit({ kind: "requested", node, reason, atMs: nowMs });
    const rent = { clientToken: clientTokenOf(batch), batch };
    const rentedCount = await this.#ask(rent, { nodeIds }, turn);
    if (rentedCount === undefined) return { kind: "unknown" };
    return { kind: "answered", askedCount, rentedCount };
  }

  /** Makes a request again whose outcome is unknown for these nodes. */
  async resume({ clientToken, nodeIds }: ActionOf<"resume">, turn: RentTurn): Promise<void> {
    const [nodeId = ""] = nodeIds;
    const record = await this.#options.ledger.get(nodeId);
    if (record?.batch === undefined || turn.failedRegions.has(regionKey(record.node))) return;
    const asked = { nodeIds, firstAskedAtMs: record.requestedAtMs };
    await this.#ask({ clientToken, batch: record.batch }, asked, turn);
  }

  /**
   * Makes a request and writes what came of it for these nodes; gives how many machines the
   * whole batch has, or nothing when the answer leaves it open.
   */
  async #ask(
    rent: Rent,
    asked: { readonly nodeIds: readonly string[]; readonly firstAskedAtMs?: number },
    turn: RentTurn,
  ): Promise<number | undefined> {
    const { userDataFor, clusterId, owner, book, desk } = this.#options;
    const { batch } = rent;
    const { nodeIds } = asked;
    const userData = await userDataFor(rent);
    const request = rentRequestOf(rent, { ...asked, userData, clusterId, owner });
    const isRepeat = asked.firstAskedAtMs !== undefined;
    const result = resultOf(await desk.rent(request), batch, isRepeat);
    if (result.kind === "unknown") {
      const [best] = batch.offers;
      assert(best !== undefined, "a rent names an offer");
      turn.failedRegions.add(regionKey(best));
      book.providerFailed(best.cloud, `renting ${nodeIds.join(", ")}`, result.reason);
      return undefined;
    }
    await this.#settle(batch, result, nodeIds);
    return result.rented.length;
  }

  /** Remembers what was refused, and writes for these nodes which machine each has, if any. */
  async #settle(batch: RentBatch, answer: RentAnswer, nodeIds: readonly string[]): Promise<void> {
    const { book, ledger } = this.#options;
    const offers = new Map(batch.offers.map((offer) => [offer.offerId, offer]));
    const machines = new Map(answer.rented.map((machine) => [machine.nodeId, machine]));
    for (const offerId of new Set(answer.rented.map((machine) => machine.offerId))) {
      const offer = offers.get(offerId);
      if (offer !== undefined) book.forget(offer);
    }
    for (const { scope, reason } of answer.refused) book.remember(scope, reason);
    const moves: Move[] = [];
    for (const nodeId of nodeIds) {
      const record = await ledger.get(nodeId);
      if (record === undefined) continue;
      const machine = machines.get(nodeId);
      const offer = offers.get(machine?.offerId ?? "") ?? batch.offers[0];
      const refusedOfferIds = refusersOf(batch, answer, machine);
      const move = moveOf(record, machine, { offer, refused: answer.refused });
      moves.push({ ...move, refusedOfferIds });
    }
    await book.moveAll(moves);
  }
}

function regionKey({ cloud, region }: Pick<Offer, "cloud" | "region">): string {
  return `${cloud} ${region}`;
}

/** What became of one request. */
type Asked =
  | { readonly kind: "nothing-to-ask" }
  | { readonly kind: "unknown" }
  | { readonly kind: "answered"; readonly askedCount: number; readonly rentedCount: number };

/**
 * Offers that were asked for a machine for one node and gave none: those that the provider
 * named, as far as they are better than the one that gave it. When it named none, the best of
 * the batch answers for a node without a machine.
 */
function refusersOf(
  { offers }: RentBatch,
  { refused }: RentAnswer,
  machine: RentedMachine | undefined,
): readonly string[] {
  const named = new Set(refused.flatMap(({ offerId }) => offerId ?? []));
  const ids = offers.map(({ offerId }) => offerId);
  if (machine === undefined && named.size === 0) return ids.slice(0, 1);
  const place = machine === undefined ? ids.length : ids.indexOf(machine.offerId);
  return ids.slice(0, Math.max(0, place)).filter((offerId) => named.has(offerId));
}

/** What an answer does to a record: it gets its machine, or ends. */
function moveOf(
  record: PoolRecord,
  machine: RentedMachine | undefined,
  by: { readonly offer: Offer | undefined; readonly refused: RentAnswer["refused"] },
): Move {
  if (machine === undefined || by.offer === undefined) {
    const reason = by.refused[0]?.reason ?? "its provider had no more";
    return { record, event: { kind: "refuse" }, reason };
  }
  const { providerNodeId } = machine;
  const event = { kind: "accepted", providerNodeId } as const;
  const { offerId } = by.offer;
  const instead = offerId === record.node.offerId ? "" : ` by ${offerId}; better ones were refused`;
  const reason = `rented ${providerNodeId}${instead}`;
  return { record: rentedBy(record, by.offer), event, reason };
}

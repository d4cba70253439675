/**
 * A knapsack for each pool: every kind of container gets the cheapest combination of machines
 * that holds all of them (`cover-table.ts`), whatever others have and whatever is rented already.
 * It sizes like a reactive autoscaler.
 */
import {
  demandClassKey,
  MS_PER_SECOND,
  type Offer,
  type OptimizerPolicy,
} from "../../core/index.ts";
import type { CapacityAnswer, CapacityPolicy, CapacityView } from "../capacity-policy.ts";
import { answerOf, BASELINE_POOL_POLICY, NodeHold } from "./answer.ts";
import { CoverTable, type LimitedChoice } from "./cover-table.ts";
import { choicesFor } from "./cover.ts";
import type { ReactiveParameters } from "./reactive.ts";
import { busyContainers, wantedContainers } from "./wanted.ts";

/** Sizes like a reactive autoscaler, and buys by a knapsack. */
export function knapsack(
  name: string,
  parameters: ReactiveParameters,
  policy: OptimizerPolicy,
): CapacityPolicy {
  const { utilizationTarget, holdMs, bufferContainers } = parameters;
  const hold = new NodeHold(holdMs);
  const tables = new Tables();
  const decide = (view: CapacityView): CapacityAnswer => {
    const wanted = wantedContainers(
      view.functions,
      (load) => busyContainers(load) / utilizationTarget,
      bufferContainers,
    );
    const counts = new Map<string, number>();
    for (const { needs, count } of wanted) {
      const choices = choicesFor(view.offers, needs, policy).map((choice) => ({
        ...choice,
        nodeCountMax: choice.offer.nodeCountMax - (counts.get(choice.offer.offerId) ?? 0),
      }));
      for (const [offer, nodeCount] of tables.nodesFor(demandClassKey(needs), choices, count)) {
        counts.set(offer.offerId, (counts.get(offer.offerId) ?? 0) + nodeCount);
      }
    }
    const reason = `cheapest combination, kept for ${holdMs / MS_PER_SECOND} s`;
    return answerOf(hold.held(counts, view), view, reason);
  };
  return { name, pool: BASELINE_POOL_POLICY, decide, ...hold.memory };
}

/** A table answers as long as the market stays as it is and demand below what it was made for. */
class Tables {
  readonly #tables = new Map<string, { readonly market: string; readonly table: CoverTable }>();

  nodesFor(
    key: string,
    choices: readonly LimitedChoice[],
    count: number,
  ): ReadonlyMap<Offer, number> {
    const market = choices
      .map(({ offer, nodeCountMax }) =>
        [offer.offerId, offer.priceMicroUsdPerHour, nodeCountMax].join(),
      )
      .join(";");
    const known = this.#tables.get(key);
    if (known?.market === market && known.table.countMax >= count)
      return known.table.nodesFor(count);
    const table = new CoverTable(choices, 2 ** Math.ceil(Math.log2(Math.max(1, count))));
    this.#tables.set(key, { market, table });
    return table.nodesFor(count);
  }
}

/** Spread ledger: how many containers with one key are on each node and in each zone. */
import type { Node, PlacedContainer, SpreadRule } from "../../core/index.ts";

export class SpreadLedger {
  readonly #counts = new Map<string, Map<string, number>>();

  constructor(
    containers: readonly PlacedContainer[],
    nodeOf: (nodeId: string) => Node | undefined,
  ) {
    for (const { spread, nodeId } of containers) {
      const node = nodeOf(nodeId);
      if (spread !== undefined && node !== undefined) this.add(spread, node);
    }
  }

  /** Whether one more container under `rule` may go on `node`. */
  allows(rule: SpreadRule, node: Node): boolean {
    const count = this.#counts.get(rule.key)?.get(placeOf(node, rule.apart)) ?? 0;
    return count < (rule.countMax ?? 1);
  }

  add(rule: SpreadRule, node: Node): void {
    this.#change(rule.key, node, 1);
  }

  remove(rule: SpreadRule, node: Node): void {
    this.#change(rule.key, node, -1);
  }

  /** Both places are counted, whatever the rule: rules with one key may differ in the place. */
  #change(key: string, node: Node, by: 1 | -1): void {
    const counts = this.#counts.get(key) ?? new Map<string, number>();
    this.#counts.set(key, counts);
    for (const apart of ["node", "zone"] as const) {
      const place = placeOf(node, apart);
      counts.set(place, (counts.get(place) ?? 0) + by);
    }
  }
}

/** Nodes without a zone are taken to share one per region. */
function placeOf(node: Node, apart: SpreadRule["apart"]): string {
  if (apart === "node") return `node ${node.nodeId}`;
  return `zone ${node.cloud}/${node.region}/${node.zone ?? ""}`;
}

/** Placements in words: why this node, in one sentence. */
import type { StrategyName } from "../core/index.ts";
import type { NodeState } from "./fleet/node-state.ts";
import { CARD, type RequestClass } from "./fleet/request-class.ts";
import type { GangDomain } from "./queue/gangs.ts";

/** Why the request goes to a node that was in `state` before. */
export function placementReason(
  request: RequestClass,
  state: NodeState,
  by: { readonly strategy: StrategyName; readonly domain: GangDomain | undefined },
): string {
  const { node, cardCount } = state.profile;
  const gang = by.domain === undefined ? "" : `, with its gang in ${by.domain.name}`;
  const best = `best of the nodes that fit by ${by.strategy}${gang}`;
  if (request.gpuCount === 0 || node.gpuType === undefined) return best;
  const types = request.needs.gpu?.types ?? [];
  const place = (request.preferenceOf?.get(node.gpuType) ?? 0) + 1;
  const isOrdered = types.length > 1 && request.needs.gpu?.equallyWanted !== true;
  const choice = isOrdered ? `, choice ${place} of ${types.length}` : "";
  const free = Number((state.gpuFree / CARD - request.gpuCount).toFixed(2));
  return `${best} (${node.gpuType}${choice}); ${free} of ${cardCount} GPUs stay free`;
}

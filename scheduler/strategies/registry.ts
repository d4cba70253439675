/** The strategies by name. */
import type { StrategyName } from "../../core/index.ts";
import { bestFit } from "./best-fit.ts";
import { defaultStrategy } from "./default.ts";
import { dotProduct } from "./dot-product.ts";
import { fgd } from "./fgd.ts";
import { packing } from "./packing.ts";
import { spread } from "./spread.ts";
import type { Strategy, StrategyKnowledge } from "./strategy.ts";

const STRATEGIES: Readonly<Record<StrategyName, (knowledge: StrategyKnowledge) => Strategy>> = {
  default: defaultStrategy,
  fgd,
  "best-fit": bestFit,
  "dot-product": dotProduct,
  packing,
  spread,
};

/** The strategy of that name for what is known now. */
export function strategyOf(name: StrategyName, knowledge: StrategyKnowledge): Strategy {
  return STRATEGIES[name](knowledge);
}

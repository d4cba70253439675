/** The policy that a search begins with: what a policy file says, and what `*` stands for. */
import { GPU_TYPES, usdFromMicroUsd } from "../../../core/index.ts";
import type { Allowed } from "../../../documents/index.ts";
import {
  readText,
  SIMULATED_POLICY,
  type Parameter,
  type World,
  readParameters,
} from "../../../simulations/index.ts";
import { parsePolicy } from "../../policy/parse-policy.ts";
import { policyJsonSchema } from "../../policy/policy-file.ts";

/** The policy of simulations without a file, as a file would say it. */
export function simulatedPolicyContent(): unknown {
  const { optimizer, pool } = SIMULATED_POLICY;
  return {
    optimizer: {
      buffers: { waitUsdPerGpuHour: usdFromMicroUsd(optimizer.buffers.waitMicroUsdPerGpuHour) },
    },
    pool: { nodeCountMax: pool.nodeCountMax },
  };
}

/** The content of a policy file; without one, of the policy of simulations. */
export function basePolicyContent(file: string | undefined): unknown {
  if (file === undefined) return simulatedPolicyContent();
  return parsePolicy(readText(file), file).raw ?? {};
}

/** The parameters of `--params` in a world. @throws PlatformError `invalid_request`. */
export function parametersOf(text: string, world: World): readonly Parameter[] {
  const { functions, market } = world;
  const wanted = new Set(functions.flatMap(({ needs }) => needs.gpu?.types ?? []));
  const unique = (names: readonly string[]): readonly string[] => [...new Set(names)].sort();
  return readParameters(text, {
    schema: policyJsonSchema() as Allowed,
    keys: {
      "optimizer.buffers.byGpuType": GPU_TYPES.filter((type) => wanted.has(type)),
      "optimizer.egressUsdPerGib": unique(market.offers.map(({ cloud }) => cloud)),
      "optimizer.regionUsdPerContainerHour": unique(market.offers.map(({ region }) => region)),
    },
  });
}

/** For tests: the example files as a situation. */
import { readFileSync } from "node:fs";
import { parsePolicy } from "../../policy/parse-policy.ts";
import { readDemand } from "./demand-file.ts";
import { readFleet, readQuotas } from "./fleet-files.ts";
import { readOffers } from "../../../documents/index.ts";
import type { Situation } from "./situation.ts";

const FOLDER = new URL("../../../examples/", import.meta.url);

/** What `examples/plans` and `examples/policies/balanced.yaml` say. */
export function exampleSituation(): Situation {
  const { offers } = readOffers(textOf("plans/offers.csv"), "offers.csv");
  const { policy, raw } = parsePolicy(textOf("policies/balanced.yaml"), "balanced.yaml");
  return {
    offers,
    demand: readDemand(textOf("plans/demand.json"), "demand.json"),
    fleet: readFleet(textOf("plans/fleet.json"), "fleet.json", offers),
    quotaLimits: readQuotas(textOf("plans/quotas.json"), "quotas.json", offers),
    policy,
    policyRaw: raw,
  };
}

function textOf(path: string): string {
  return readFileSync(new URL(path, FOLDER), "utf8");
}

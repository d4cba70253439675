/** Plans one instance in a process of its own and prints the most memory it ever held, in MiB. */
import { readFileSync } from "node:fs";
import { createSolvers, planFleet } from "../../optimizer/index.ts";
import { readOffers } from "../../documents/index.ts";
import { drawInstance, SIZES } from "./instances.ts";

const [file = "", name = "xl", limitMs = "6000"] = process.argv.slice(2);
const market = readOffers(readFileSync(file, "utf8"), file).offers;
const size = SIZES.find((one) => one.name === name);
if (!size) throw new Error(`no instance ${name}`);
const input = drawInstance(market, size);
const policy = { ...input.policy, solveTimeLimitMs: Number(limitMs) };
await planFleet({ ...input, policy }, { highs: createSolvers().highs });
console.log(process.resourceUsage().maxRSS / 1_024);

/** Reads the files of `flotilla plan`. */
import { readFile } from "node:fs/promises";
import { text as textOf } from "node:stream/consumers";
import { messageOf } from "../../../core/index.ts";
import { parsePolicy } from "../../policy/parse-policy.ts";
import { CommandError } from "../outcome.ts";
import { readDemand } from "./demand-file.ts";
import { readFleet, readQuotas } from "./fleet-files.ts";
import type { FilePlanOptions } from "./options.ts";
import { readOffers, type OfferTable } from "../../../documents/index.ts";
import type { Situation } from "./situation.ts";

/** What the files say, and which rows of offers were of no use. */
export interface ReadFiles {
  readonly situation: Situation;
  readonly table: Omit<OfferTable, "offers">;
}

/** @throws CommandError, PlatformError that name the file and the place in it. */
export async function readSituation(options: FilePlanOptions): Promise<ReadFiles> {
  const { offers, ...table } = readOffers(...(await source("--offers", options.offers)));
  const demand = readDemand(...(await source("--demand", options.demand)));
  const { policy, raw } = parsePolicy(...(await source("--policy", options.policy)));
  const fleet =
    options.fleet === undefined
      ? []
      : readFleet(...(await source("--fleet", options.fleet)), offers);
  const quotaLimits =
    options.quotas === undefined
      ? {}
      : readQuotas(...(await source("--quotas", options.quotas)), offers);
  const { timeLimitMs } = options;
  const situation: Situation = {
    offers,
    demand,
    fleet,
    quotaLimits,
    policy,
    policyRaw: raw,
    ...(timeLimitMs === undefined ? {} : { timeLimitMs }),
  };
  return { situation, table };
}

/** A file's text and what to call it in messages; no file is an empty text. */
async function source(
  flag: string,
  path: string | undefined,
): Promise<[text: string, name: string]> {
  if (path === undefined) return ["", flag];
  if (path === "-") return [await textOf(process.stdin), `standard input (${flag})`];
  try {
    return [await readFile(path, "utf8"), path];
  } catch (error) {
    throw new CommandError("usage", `cannot read ${flag} ${path}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** `flotilla cloud list` and `flotilla cloud check`. */
import type { CloudCheck, CloudReport } from "../../fleet/pool-report.ts";
import { getJson, postJson } from "../api-client.ts";
import { columns } from "../columns.ts";
import { EXIT, settle } from "../outcome.ts";
import type { ListingOptions } from "./options.ts";

const NONE =
  "No cloud is set up: nothing can be rented. See docs/operating.md, or try " +
  "`flotilla up --emulated-clouds`.";

/** Prints every cloud that is set up. */
export async function runCloudList({ json }: ListingOptions): Promise<void> {
  await settle(async () => {
    const clouds = await listClouds();
    if (json === true) console.log(JSON.stringify({ clouds }));
    else console.log(clouds.length === 0 ? NONE : cloudTable(clouds));
  });
}

/** Clouds as a table. */
export function cloudTable(clouds: readonly CloudReport[]): string {
  const rows = clouds.map(({ cloud, isReachable, offers, nodes, usdPerHour }) => [
    cloud,
    isReachable ? "answers" : "DOES NOT ANSWER",
    String(offers),
    String(nodes),
    usdPerHour.toFixed(2),
  ]);
  return columns(["CLOUD", "STATE", "OFFERS", "NODES", "$/H"], rows);
}

/** Checks one cloud or all; exit code 1 when something is refused. */
export async function runCloudCheck(
  name: string | undefined,
  { json }: ListingOptions,
): Promise<void> {
  await settle(async () => {
    const names = name === undefined ? (await listClouds()).map(({ cloud }) => cloud) : [name];
    const checks: CloudCheck[] = [];
    for (const cloud of names) {
      const path = `/v1/clouds/${encodeURIComponent(cloud)}/check`;
      checks.push((await postJson(path, {})) as CloudCheck);
    }
    if (json === true) console.log(JSON.stringify({ checks }));
    else console.log(checks.length === 0 ? NONE : checks.map(checkText).join("\n"));
    if (checks.some(({ isGood }) => !isGood)) process.exitCode = EXIT.failed;
  });
}

/** What was tried, a line each. */
export function checkText({ cloud, steps }: CloudCheck): string {
  const lines = steps.map(
    ({ step, isGood, detail }) => `  ${isGood ? "✔" : "✖"} ${step}: ${detail}`,
  );
  return [cloud, ...lines].join("\n");
}

async function listClouds(): Promise<readonly CloudReport[]> {
  const { clouds } = (await getJson("/v1/clouds")) as { readonly clouds: readonly CloudReport[] };
  return clouds;
}

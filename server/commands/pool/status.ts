/** `flotilla pool status`. */
import type { PoolStatus } from "../../fleet/pool-report.ts";
import { getJson } from "../api-client.ts";
import { columns } from "../columns.ts";
import { settle } from "../outcome.ts";
import type { ListingOptions } from "./options.ts";

/** Prints the pool as a whole. */
export async function runPoolStatus({ json }: ListingOptions): Promise<void> {
  await settle(async () => {
    const status = (await getJson("/v1/pool")) as PoolStatus;
    console.log(json === true ? JSON.stringify(status) : statusText(status));
  });
}

/** The pool as text for people. */
export function statusText(status: PoolStatus): string {
  const states = Object.entries(status.nodes).map(([state, count]) => `${count} ${state}`);
  const keeper = status.leads ? "this server" : (status.leader ?? "nobody now");
  return [
    `nodes     ${states.join(", ") || "none"}; the plan wants ${status.wantedNodes}`,
    ...spendLines(status.spend),
    `kept by   ${keeper}`,
    ...status.unreachableClouds.map(
      (cloud) => `✖ ${cloud} cannot be listed: machines there are not seen, and none is rented`,
    ),
    ...status.unseen.map(
      ({ cloud, region, zone, reason }) =>
        `✖ ${cloud} ${zone ?? region} cannot be listed: machines there are not seen, and none is ` +
        `rented there (${reason})`,
    ),
    ...(status.isRepairHalted
      ? ["✖ too many nodes are unfit at once: none is repaired until somebody has looked"]
      : []),
    ...status.unfit.map(({ nodeId, fault }) => `✖ ${nodeId} is unfit: ${fault}`),
    ...status.strays.map(
      ({ cloud, providerNodeId }) =>
        `✖ ${cloud} machine ${providerNodeId} belongs to nobody and is given back`,
    ),
    ...status.unclaimed.flatMap(unclaimedLines),
    ...refusalLines(status),
  ].join("\n");
}

function unclaimedLines(account: PoolStatus["unclaimed"][number]): readonly string[] {
  const { cloud, machines, bareCount, bareExamples } = account;
  const noun = bareCount === 1 ? "machine has" : "machines have";
  const more = bareCount > bareExamples.length ? ", ..." : "";
  return [
    ...machines.map(({ providerNodeId, kind, reason }) => {
      const fate = kind === "lost" ? " (it is given back)" : "";
      return `✖ ${cloud} machine ${providerNodeId} has no cluster's tag: ${reason}${fate}`;
    }),
    ...(bareCount === 0
      ? []
      : [
          `  ${cloud}: ${bareCount} other ${noun} nothing of ours and no cluster's tag ` +
            `(${bareExamples.join(", ")}${more})`,
        ]),
  ];
}

function spendLines({
  usdPerHour,
  budgetUsdPerHour,
  todayUsd,
  monthUsd,
  forecastUsd,
  budgetUsdPerMonth,
}: PoolStatus["spend"]): readonly string[] {
  const hourly = budgetUsdPerHour === undefined ? "" : ` of ${dollars(budgetUsdPerHour)}`;
  const monthly = budgetUsdPerMonth === undefined ? "" : ` of ${dollars(budgetUsdPerMonth)}`;
  const over = budgetUsdPerMonth !== undefined && forecastUsd > budgetUsdPerMonth;
  return [
    `spend     ${dollars(usdPerHour)}/h${hourly}; today ${dollars(todayUsd)}, this month ` +
      `${dollars(monthUsd)} (UTC)`,
    `forecast  ${dollars(forecastUsd)}${monthly} for the whole month`,
    ...(over ? ["✖ the forecast is above the month's budget"] : []),
  ];
}

function refusalLines({ refusals, atMs }: PoolStatus): readonly string[] {
  if (refusals.length === 0) return [];
  const rows = refusals.map(({ key, untilMs, count, reason }) => [
    key,
    `${Math.max(0, Math.ceil((untilMs - atMs) / 1_000))} s`,
    String(count),
    reason,
  ]);
  return ["", columns(["LEFT ALONE", "FOR", "IN A ROW", "WHY"], rows)];
}

function dollars(usd: number): string {
  return `$${usd.toFixed(2)}`;
}

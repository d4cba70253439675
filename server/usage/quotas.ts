/** What a workspace may have, and what happens at its limits. Pure. */
import { usdFromMicroUsd, type MicroUsd } from "../../core/index.ts";
import type { WorkspaceQuotas } from "../../sdk/protocol/index.ts";

/** What a workspace has now. */
export interface WorkspaceUse {
  readonly containers: number;
  /** Thousandths of GPUs that its containers hold. */
  readonly gpuMilli: number;
  /** What its containers cost since the month began, in UTC. */
  readonly monthMicroUsd: MicroUsd;
}

/** Part of a limit from which on there is a warning. */
export const WARNING_FRACTION = 0.8;

/** Why one more container of these GPUs is not for this workspace now; undefined when it is. */
export function quotaRefusal(
  quotas: WorkspaceQuotas,
  use: WorkspaceUse,
  gpuMilli: number,
): string | undefined {
  const spent = spendingRefusal(quotas, use);
  if (spent !== undefined) return spent;
  const { containersMax = Infinity, gpusMax = Infinity } = quotas;
  if (use.containers + 1 > containersMax) {
    return `the workspace has ${use.containers} of the ${containersMax} containers of its quota`;
  }
  if (gpuMilli > 0 && use.gpuMilli + gpuMilli > gpusMax * 1_000) {
    return (
      `the workspace holds ${use.gpuMilli / 1_000} of the ${gpusMax} GPUs of its quota, and this ` +
      `needs ${gpuMilli / 1_000}`
    );
  }
  return undefined;
}

/** Why nothing new may run this month; undefined while something may. */
export function spendingRefusal(
  quotas: WorkspaceQuotas,
  { monthMicroUsd }: Pick<WorkspaceUse, "monthMicroUsd">,
): string | undefined {
  const limit = spendingLimitOf(quotas);
  if (limit === undefined || monthMicroUsd < limit) return undefined;
  return (
    `the workspace has used $${usdText(monthMicroUsd)} of the $${usdText(limit)} that it may this ` +
    "month (free credit included); it goes on when an operator raises that, or next month"
  );
}

/** Why a function can never get a container under these quotas; undefined when it can. */
export function impossibility(quotas: WorkspaceQuotas, gpuMilli: number): string | undefined {
  const refusal = quotaRefusal(quotas, { containers: 0, gpuMilli: 0, monthMicroUsd: -1 }, gpuMilli);
  return refusal === undefined ? undefined : `${refusal}: no container of it can ever start`;
}

/** What it may use in a month, its free credit included; undefined: as much as it likes. */
export function spendingLimitOf(quotas: WorkspaceQuotas): MicroUsd | undefined {
  const { microUsdPerMonthMax, freeMicroUsdPerMonth = 0 } = quotas;
  return microUsdPerMonthMax === undefined ? undefined : microUsdPerMonthMax + freeMicroUsdPerMonth;
}

/** Limits of which four fifths or more are used, in words. */
export function quotaWarnings(quotas: WorkspaceQuotas, use: WorkspaceUse): readonly string[] {
  const { containersMax, gpusMax } = quotas;
  const limit = spendingLimitOf(quotas);
  const near = (used: number, most: number | undefined): boolean =>
    most !== undefined && used >= most * WARNING_FRACTION;
  return [
    ...(near(use.monthMicroUsd, limit)
      ? [`$${usdText(use.monthMicroUsd)} of $${usdText(limit ?? 0)} of this month are used`]
      : []),
    ...(near(use.containers, containersMax)
      ? [`${use.containers} of ${containersMax ?? 0} containers are in use`]
      : []),
    ...(near(use.gpuMilli, gpusMax === undefined ? undefined : gpusMax * 1_000)
      ? [`${use.gpuMilli / 1_000} of ${gpusMax ?? 0} GPUs are in use`]
      : []),
  ];
}

function usdText(microUsd: MicroUsd): string {
  return usdFromMicroUsd(microUsd).toFixed(2);
}

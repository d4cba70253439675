/** `flotilla workspace set-quota`: what it does; `add-workspace.ts` declares it. */
import { Client } from "../../client/client.ts";
import { UsageError } from "../../errors.ts";
import type { QuotaReport, QuotaUpdate } from "../../protocol/index.ts";
import { printData, printJson } from "../terminal.ts";
import { usdText } from "./money.ts";
import type { QuotaOptions } from "./options.ts";

/** Changes what was given and leaves the rest; shows how the workspace stands to it. */
export async function setQuota(name: string, options: QuotaOptions): Promise<void> {
  const report = await new Client().transport.json<QuotaReport>({
    method: "PATCH",
    path: `/v1/workspaces/${encodeURIComponent(name)}/quotas`,
    body: JSON.stringify(quotaUpdateOf(options)),
    contentType: "application/json",
  });
  if (options.json === true) printJson(report);
  else printData(quotaLines(report).join("\n"));
}

/** @throws UsageError when nothing was given, or something is no number. */
export function quotaUpdateOf(options: QuotaOptions): QuotaUpdate {
  const { containers, gpus, usdPerMonth, freeUsdPerMonth } = options;
  const update: QuotaUpdate = {
    ...(containers && { containersMax: limitOf("--containers", containers, /^[0-9]{1,6}$/) }),
    ...(gpus && { gpusMax: limitOf("--gpus", gpus, /^[0-9]{1,6}(\.[0-9]{1,3})?$/) }),
    ...(usdPerMonth && { microUsdPerMonthMax: microUsdOf("--usd-per-month", usdPerMonth) }),
    ...(freeUsdPerMonth && {
      freeMicroUsdPerMonth: microUsdOf("--free-usd-per-month", freeUsdPerMonth),
    }),
  };
  if (Object.keys(update).length > 0) return update;
  throw new UsageError(
    "no quota was given",
    "give --containers, --gpus, --usd-per-month or --free-usd-per-month",
  );
}

/** The quotas and how much of each is used. */
export function quotaLines(report: QuotaReport): readonly string[] {
  const { quotas, containers, gpus, usedMicroUsd, freeMicroUsd, owedMicroUsd } = report;
  const { containersMax, gpusMax, microUsdPerMonthMax, freeMicroUsdPerMonth } = quotas;
  const of = (most: string | number | undefined): string =>
    most === undefined ? "" : ` of ${most}`;
  const most = microUsdPerMonthMax === undefined ? undefined : usdText(microUsdPerMonthMax);
  const credit = freeMicroUsdPerMonth === undefined ? undefined : usdText(freeMicroUsdPerMonth);
  return [
    `month       ${usdText(usedMicroUsd)} used: ${usdText(freeMicroUsd)}${of(credit)} free, ` +
      `${usdText(owedMicroUsd)}${of(most)} beyond`,
    `containers  ${containers}${of(containersMax)}`,
    `GPUs        ${gpus}${of(gpusMax)}`,
    ...report.warnings.map((warning) => `✖ ${warning}`),
  ];
}

function limitOf(option: string, text: string, form: RegExp): number | null {
  if (text === "none") return null;
  if (form.test(text)) return Number(text);
  throw new UsageError(`${option} takes a number or none, not "${text}"`);
}

/** Micro-dollars of digits, so that nothing is rounded. */
function microUsdOf(option: string, text: string): number | null {
  if (text === "none") return null;
  const [, whole, part = ""] = /^([0-9]{1,9})(?:\.([0-9]{1,6}))?$/.exec(text) ?? [];
  if (whole !== undefined) return Number(whole) * 1_000_000 + Number(part.padEnd(6, "0"));
  throw new UsageError(`${option} takes dollars such as 12.50, or none, not "${text}"`);
}

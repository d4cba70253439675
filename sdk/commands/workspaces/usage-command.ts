/** `flotilla usage`: what it does; `add-workspace.ts` declares it. */
import { Client } from "../../client/client.ts";
import { UsageError } from "../../errors.ts";
import type { UsageFigures, UsageReport } from "../../protocol/index.ts";
import { spanMsOf } from "../span.ts";
import { tableOf } from "../table.ts";
import { printData, printJson, printProgress, withoutControls } from "../terminal.ts";
import { exactUsd, usdText } from "./money.ts";
import type { UsageOptions } from "./options.ts";
import { quotaLines } from "./quota-commands.ts";

/** Prints the usage; warnings of quotas go to stderr. */
export async function showUsage(options: UsageOptions): Promise<void> {
  const { workspace, json, csv } = options;
  const client = new Client(workspace === undefined ? {} : { workspace });
  const report = await client.transport.json<UsageReport>({
    method: "GET",
    path: `/v1/usage?${usageQuery(options, Date.now()).toString()}`,
  });
  if (json === true) printJson(report);
  else if (csv === true) printData(usageCsv(report));
  else printData(usageText(report));
  for (const warning of report.month.warnings) printProgress(`warning: ${warning}`);
}

/** The query of what was typed. @throws UsageError */
export function usageQuery(
  { since, until, by }: Pick<UsageOptions, "since" | "until" | "by">,
  nowMs: number,
): URLSearchParams {
  const [kind = "", ...rest] = by.split(":");
  const tag = rest.join(":");
  const isTag = kind === "tag" && tag !== "";
  if (!isTag && !["app", "function", "day"].includes(by)) {
    throw new UsageError(`--by "${by}" is nothing to group by`, "app, function, day or tag:NAME");
  }
  return new URLSearchParams({
    by: kind,
    ...(isTag ? { tag } : {}),
    ...(since === undefined ? {} : { since: String(timeOf("--since", since, nowMs)) }),
    ...(until === undefined ? {} : { until: String(timeOf("--until", until, nowMs)) }),
  });
}

const HEAD = ["container_ms", "cpu_ms", "memory_mib_s", "gpu_ms", "gpus", "usd"] as const;

/** A line for each row, and none for the total: whoever adds the lines up has it. */
export function usageCsv({ by, rows }: UsageReport): string {
  const lines = rows.map(({ key, ...figures }) =>
    [
      key,
      figures.containerMs,
      figures.cpuMs,
      figures.memoryMiBSeconds,
      gpuMsOf(figures),
      Object.keys(figures.gpuMsByType).sort().join(" "),
      exactUsd(figures.microUsd),
    ].map((field) => csvField(String(field))),
  );
  return [[csvField(by), ...HEAD], ...lines].map((fields) => fields.join(",")).join("\n");
}

/** The usage for people. */
export function usageText(report: UsageReport): string {
  const { by, rows, total, rates, month } = report;
  const line = (key: string, figures: UsageFigures): string[] => [
    withoutControls(key),
    hoursText(figures.containerMs),
    hoursText(figures.cpuMs),
    (figures.memoryMiBSeconds / 1_024 / 3_600).toFixed(3),
    Object.entries(figures.gpuMsByType)
      .map(([type, ms]) => `${hoursText(ms)} ${type}`)
      .join(", ") || "-",
    usdText(figures.microUsd),
  ];
  const table = tableOf(
    [by.toUpperCase(), "CONTAINER H", "CORE H", "GIB H", "GPU H", "COST"],
    [...rows.map((row) => line(row.key, row)), line("total", total)],
  );
  return [
    `${timeText(report.sinceMs)} to ${timeText(report.untilMs)} (UTC)`,
    table,
    "",
    ...quotaLines({ ...month, warnings: [] }),
    `rates       of ${rates.asOf}: ${rates.source}`,
  ].join("\n");
}

function gpuMsOf({ gpuMsByType }: UsageFigures): number {
  return Object.values(gpuMsByType).reduce((sum, ms) => sum + ms, 0);
}

function hoursText(ms: number): string {
  return (ms / 3_600_000).toFixed(3);
}

function timeText(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 16).replace("T", " ");
}

/** RFC 4180; what a table program would take for a formula is quoted with an apostrophe before. */
function csvField(text: string): string {
  const safe = /^[=+\-@\t\r]./.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** A day or time of UTC, or a span before now. */
function timeOf(option: string, text: string, nowMs: number): number {
  if (/^[0-9]+[smhd]$/.test(text)) return nowMs - spanMsOf(text, option);
  const isTime = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?Z?)?$/.test(text);
  const atMs = isTime
    ? Date.parse(text.length > 10 && !text.endsWith("Z") ? `${text}Z` : text)
    : NaN;
  if (Number.isFinite(atMs)) return atMs;
  throw new UsageError(
    `${option} "${text}" is no time`,
    "write a day as 2026-01-31, a time of UTC as 2026-01-31T12:00, or a span before now as 7d",
  );
}

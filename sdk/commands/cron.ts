/** `flotilla cron`: what the platform calls by itself, and pausing that. */
import { Client } from "../client/client.ts";
import { allPages } from "../client/pages.ts";
import { hintFor } from "../did-you-mean.ts";
import { NotFoundError } from "../errors.ts";
import type { Schedule, ScheduleInfo, ScheduleList, ScheduleRun } from "../protocol/index.ts";
import { callFunction } from "./call.ts";
import { tableOf } from "./table.ts";
import { printData, printJson, printProgress } from "./terminal.ts";

interface JsonOption {
  readonly json?: boolean;
}

/** Schedules of one app, or of all. @throws NotFoundError when that app has none. */
export async function listSchedules(app: string | undefined, options: JsonOption): Promise<void> {
  const schedules = await schedulesOf(app);
  if (app !== undefined && schedules.length === 0) {
    throw new NotFoundError(
      `no app "${app}" with a schedule is deployed`,
      "see all schedules with `flotilla cron list`",
    );
  }
  if (options.json === true) printJson({ schedules });
  else if (schedules.length === 0) {
    printProgress("Nothing is scheduled. Give a function a `schedule: app.cron(...)`");
  } else printData(scheduleTable(schedules));
}

/**
 * Calls a scheduled function now. It is a call of its own: the scheduled times stay what they
 * were, and none of them counts as run by it.
 *
 * @throws NotFoundError when the function has no schedule, and what the function throws
 */
export async function runSchedule(app: string, name: string, options: JsonOption): Promise<void> {
  const schedules = await schedulesOf(app);
  const schedule = schedules.find((each) => each.function === name);
  if (schedule === undefined) {
    const others = schedules.map((each) => each.function);
    throw new NotFoundError(
      `${app}/${name} has no schedule${hintFor(name, others)}`,
      `see all schedules with \`flotilla cron list\`; call any function with \`flotilla call\``,
    );
  }
  const [next] = schedule.nextRunsAtMs;
  const when = next === undefined ? "it is paused" : `next scheduled run ${timeOf(next)} UTC`;
  printProgress(`Running ${app}/${name} now, by hand, beside its schedule (${when})`);
  await callFunction(app, name, [], options);
}

export async function switchSchedule(
  app: string,
  name: string,
  { json, order }: JsonOption & { readonly order: "pause" | "resume" },
): Promise<void> {
  const named = `/v1/apps/${encodeURIComponent(app)}/functions/${encodeURIComponent(name)}`;
  const path = `${named}/schedule/${order}`;
  const info = await new Client().transport.json<ScheduleInfo>({ method: "POST", path });
  if (json === true) {
    printJson(info);
    return;
  }
  const [next] = info.nextRunsAtMs;
  const resumed = next === undefined ? "it never runs" : `next run ${timeOf(next)}`;
  printProgress(
    order === "pause"
      ? `Paused ${app}/${name}; flotilla cron resume ${app} ${name}`
      : `Resumed ${app}/${name}: ${resumed}`,
  );
}

/** The schedules as a table, in the order given; times are of UTC. */
export function scheduleTable(schedules: readonly ScheduleInfo[]): string {
  return tableOf(
    ["APP", "FUNCTION", "SCHEDULE", "STATE", "NEXT RUN (UTC)", "LAST RUN (UTC)", "MISSED"],
    schedules.map(({ app, function: name, schedule, state, ...info }) => [
      app,
      name,
      wordsOf(schedule),
      state,
      timeOf(info.nextRunsAtMs[0]),
      lastOf(info.lastRuns.find((run) => run.state !== "missed")),
      missedOf(info),
    ]),
  );
}

function wordsOf(schedule: Schedule): string {
  if (schedule.kind === "period") return `every ${spanOf(schedule.periodMs)}`;
  const { expression, timezone } = schedule;
  return timezone === undefined ? expression : `${expression} ${timezone}`;
}

function lastOf(run: ScheduleRun | undefined): string {
  return run === undefined ? "-" : `${timeOf(run.dueAtMs)} ${run.state}`;
}

function missedOf({
  missedCount,
  lastRuns,
}: Pick<ScheduleInfo, "missedCount" | "lastRuns">): string {
  if (missedCount === 0) return "0";
  const gap = lastRuns.find(({ state }) => state === "missed");
  return gap === undefined ? String(missedCount) : `${missedCount}, last ${timeOf(gap.dueAtMs)}`;
}

function timeOf(atMs: number | undefined): string {
  return atMs === undefined ? "-" : new Date(atMs).toISOString().slice(0, 19).replace("T", " ");
}

function spanOf(ms: number): string {
  const units = [
    [86_400_000, "d"],
    [3_600_000, "h"],
    [60_000, "min"],
    [1_000, "s"],
  ] as const;
  const [size, unit] = units.find(([unitMs]) => ms % unitMs === 0) ?? [1, "ms"];
  return `${ms / size} ${unit}`;
}

async function schedulesOf(app: string | undefined): Promise<readonly ScheduleInfo[]> {
  const query: Readonly<Record<string, string>> = app === undefined ? {} : { app };
  const pages = await allPages<ScheduleList>(new Client().transport, "/v1/schedules", query);
  return pages.flatMap(({ schedules }) => schedules);
}

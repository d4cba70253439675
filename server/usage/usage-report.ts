/** Usage as it is told: rows by app, function, tag or day, whose sums are the total. Pure. */
import type { UsageFigures, UsageRow } from "../../sdk/protocol/index.ts";
import type { OpenSpan, UsageHour } from "../store/usage-store.ts";
import { amountsOf, costOf, NO_USE, sumOf, type UsageAmounts } from "./cost.ts";
import { DAY_MS, HOUR_MS, hoursOf } from "./periods.ts";

/** What rows are by; of a tag its name. */
export type UsageKey =
  { readonly kind: "app" | "function" | "day" } | { readonly kind: "tag"; readonly tag: string };

/** Key of what has no such tag. */
const NO_TAG = "-";

/** The full hours around a time. */
export function fullHours(
  sinceMs: number,
  untilMs: number,
): { readonly sinceMs: number; readonly untilMs: number } {
  return {
    sinceMs: Math.floor(sinceMs / HOUR_MS) * HOUR_MS,
    untilMs: Math.ceil(untilMs / HOUR_MS) * HOUR_MS,
  };
}

/** Open spans as hours, as far as they have come, within a time. */
export function hoursOfOpen(
  spans: readonly OpenSpan[],
  sinceMs: number,
  untilMs: number,
): readonly UsageHour[] {
  return spans.flatMap((span) => {
    const from = Math.max(sinceMs, span.startedAtMs);
    const { app, functionName, tags, gpuType } = span;
    return hoursOf(from, Math.min(untilMs, span.untilMs)).map(({ hourMs, fromMs, toMs }) => ({
      ...amountsOf(span, fromMs, toMs),
      hourMs,
      app,
      functionName,
      tags,
      ...(gpuType === undefined ? {} : { gpuType }),
    }));
  });
}

/** Rows by key in ascending order. */
export function usageRows(hours: readonly UsageHour[], by: UsageKey): readonly UsageRow[] {
  const groups = Map.groupBy(hours, (hour) => keyOf(hour, by));
  return [...groups]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([key, each]) => ({ key, ...figuresOf(each) }));
}

/** The sum of all of it. */
export function figuresOf(hours: readonly UsageHour[]): UsageFigures {
  const amounts = hours.reduce<UsageAmounts>((sum, hour) => sumOf(sum, hour), NO_USE);
  const gpuMsByType: Record<string, number> = {};
  for (const { gpuType, gpuMs } of hours) {
    if (gpuType !== undefined) gpuMsByType[gpuType] = (gpuMsByType[gpuType] ?? 0) + gpuMs;
  }
  const { containerMs, cpuMs, memoryMiBSeconds, cpuMicroUsd, memoryMicroUsd, gpuMicroUsd } =
    amounts;
  const used = { containerMs, cpuMs, memoryMiBSeconds, gpuMsByType };
  return { ...used, cpuMicroUsd, memoryMicroUsd, gpuMicroUsd, microUsd: costOf(amounts) };
}

function keyOf({ app, functionName, tags, hourMs }: UsageHour, by: UsageKey): string {
  switch (by.kind) {
    case "app":
      return app;
    case "function":
      return `${app}/${functionName}`;
    case "day":
      return new Date(Math.floor(hourMs / DAY_MS) * DAY_MS).toISOString().slice(0, 10);
    case "tag":
      return Object.hasOwn(tags, by.tag) ? (tags[by.tag] ?? NO_TAG) : NO_TAG;
  }
}

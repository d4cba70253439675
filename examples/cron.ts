/**
 * A report that the platform makes by itself every weekday morning, and a check every five minutes.
 *
 *     flotilla deploy examples/cron.ts
 *     flotilla cron list
 *
 * `flotilla run` makes one report now and schedules nothing:
 *
 *     flotilla run examples/cron.ts
 */
import { App } from "flotilla";

const app = new App("report");

/** Stands for orders of a database. */
function ordersOf(day: string): readonly { readonly product: string; readonly cents: number }[] {
  const seed = Number(day.replaceAll("-", ""));
  return Array.from({ length: 50 }, (_, index) => ({
    product: ["bread", "salt", "tea"][(seed + index) % 3] ?? "bread",
    cents: 100 + ((seed * (index + 1)) % 900),
  }));
}

/** Yesterday's sales by product; a caller may ask for another day. */
export const daily = app.function(
  { schedule: app.cron("0 7 * * 1-5", { timezone: "Europe/Berlin" }) },
  (day: string = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10)) => {
    const totals: Record<string, number> = {};
    for (const { product, cents } of ordersOf(day)) {
      totals[product] = (totals[product] ?? 0) + cents;
    }
    console.log(`sales of ${day}:`, totals);
    return { day, totals };
  },
);

/** Nobody needs a check that is an hour late: one that was missed is not made up for. */
export const check = app.function({ schedule: app.period({ minutes: 5, graceMs: 0 }) }, () => {
  console.log("all is well");
});

app.localEntrypoint(async () => {
  console.log(await daily.remote("2026-03-02"));
});

/**
 * A report that a schedule makes every morning from files of a volume, and writes beside them.
 *
 * Tills put the sales of a day into the volume as `sales/DAY.csv`; here the entrypoint does that.
 * The report goes to `reports/DAY.md`, and the call gives its summary. Making it again gives the
 * same file, so it does no harm that a call whose container is lost runs twice.
 *
 *     flotilla deploy examples/cron-report.ts
 *     flotilla cron list
 *
 * `flotilla run` schedules nothing: it writes two days of sales and makes one report now.
 *
 *     flotilla run examples/cron-report.ts
 *     flotilla volume get example-sales reports/2026-03-02.md -
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { App, Volume } from "flotilla";

const app = new App("cron-report");
const shop = Volume.fromName("example-sales", { createIfMissing: true });
const DAY_MS = 86_400_000;

interface Summary {
  readonly day: string;
  readonly saleCount: number;
  readonly totalCents: number;
  /** Lines of the file that are no sale; they are in no total. */
  readonly badLineCount: number;
  /** Against the day before; absent when that has no sales. */
  readonly changeFraction?: number;
}

/** Without a day: that of yesterday, which is over in UTC when the schedule calls. */
export const report = app.function(
  {
    schedule: app.cron("0 6 * * *"),
    volumes: { "/shop": shop },
    retries: 2,
  },
  async (day: string = dayBefore(new Date().toISOString())): Promise<Summary> => {
    // A container that has made an earlier report is brought up to date.
    await shop.reload();
    const sales = await salesOf(day);
    if (sales === undefined) throw new Error(`there is no sales/${day}.csv in the volume`);
    const before = await salesOf(dayBefore(day));
    const summary: Summary = {
      day,
      saleCount: sales.saleCount,
      totalCents: sales.totalCents,
      badLineCount: sales.badLineCount,
      ...(before !== undefined &&
        before.totalCents > 0 && {
          changeFraction: sales.totalCents / before.totalCents - 1,
        }),
    };
    await mkdir("/shop/reports", { recursive: true });
    await writeFile(`/shop/reports/${day}.md`, pageOf(summary, sales.centsOf));
    // From here on the report is there for others, whatever happens to this container.
    await shop.commit();
    console.log(`wrote reports/${day}.md`);
    return summary;
  },
);

app.localEntrypoint(async () => {
  await shop.writeFile("sales/2026-03-01.csv", "bread,320\ntea,480\n");
  await shop.writeFile(
    "sales/2026-03-02.csv",
    "bread,320\ntea,960\ntea,480\ntill jammed\nsalt,90\n",
  );
  console.log(await report.remote("2026-03-02"));
  console.log(new TextDecoder().decode(await shop.readFile("reports/2026-03-02.md")));
});

interface Sales {
  readonly saleCount: number;
  readonly totalCents: number;
  readonly badLineCount: number;
  readonly centsOf: ReadonlyMap<string, number>;
}

/** The sales of a day, `product,cents` a line; undefined when the volume has none. */
async function salesOf(day: string): Promise<Sales | undefined> {
  const text = await readFile(`/shop/sales/${day}.csv`, "utf8").catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== "");
  const centsOf = new Map<string, number>();
  let badLineCount = 0;
  for (const line of lines) {
    const [, product, cents] = /^([^,]+),(\d+)$/.exec(line) ?? [];
    if (product === undefined) badLineCount += 1;
    else centsOf.set(product, (centsOf.get(product) ?? 0) + Number(cents));
  }
  const totalCents = [...centsOf.values()].reduce((sum, cents) => sum + cents, 0);
  return { saleCount: lines.length - badLineCount, totalCents, badLineCount, centsOf };
}

function pageOf(summary: Summary, centsOf: ReadonlyMap<string, number>): string {
  const products = [...centsOf].toSorted(([, left], [, right]) => right - left);
  const { day, saleCount, totalCents, changeFraction } = summary;
  const change =
    changeFraction === undefined
      ? ""
      : `, ${(changeFraction * 100).toFixed(0)} % over the day before`;
  return [
    `# Sales of ${day}`,
    "",
    `${saleCount} sales, ${euros(totalCents)}${change}.`,
    "",
    ...products.map(([product, cents]) => `- ${product}: ${euros(cents)}`),
    "",
  ].join("\n");
}

function euros(cents: number): string {
  return `${(cents / 100).toFixed(2)} EUR`;
}

/** `2026-03-01` for `2026-03-02` or a time of that day in UTC. */
function dayBefore(day: string): string {
  return new Date(Date.parse(day.slice(0, 10)) - DAY_MS).toISOString().slice(0, 10);
}

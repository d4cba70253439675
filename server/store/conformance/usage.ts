/** Usage and quotas. */
import { expect, it } from "vitest";
import { amountsOf, costOf, extraAmountsOf, NO_EXTRA, NO_USE, sumOf } from "../../usage/cost.ts";
import type { UsageSpan } from "../usage-store.ts";
import type { OpenBench } from "./samples.ts";

/** Half an hour before a month ends. */
const START = Date.UTC(2026, 0, 31, 23, 30);
const NEXT_MONTH = Date.UTC(2026, 1, 1);

function aSpan(containerId: string, changes: Partial<UsageSpan> = {}): UsageSpan {
  return {
    containerId,
    workspaceId: "default",
    app: "demo",
    functionName: "embed",
    tags: { team: "search" },
    gpuType: "H100",
    nodeId: "no_1",
    serverId: "one",
    startedAtMs: START,
    cpuMilli: 125,
    memoryMiB: 256,
    gpuMilli: 500,
    rates: {
      cpuMicroUsdPerCoreHour: 47_160,
      memoryMicroUsdPerGiBHour: 7_992,
      gpuMicroUsdPerHour: 3_950_001,
    },
    ...changes,
  };
}

/** Declares the suite of `RecordStore.usage`. */
export function testUsage({ store, reopen }: OpenBench): void {
  const hours = async () => store().usage.hours("default", 0, START * 2);

  it("counts a container from its start to its end, by hours, and once", async () => {
    const { usage } = store();
    const span = aSpan("co_1");
    expect(await usage.open(span)).toEqual({ kind: "opened" });
    await usage.open({ ...span, startedAtMs: START + 1_000 });
    const endMs = START + 5_000_000;
    await Promise.all([usage.end("co_1", endMs), usage.end("co_1", endMs + 7)]);
    await (await reopen()).usage.end("co_1", endMs + 1_000);
    const counted = await hours();
    expect(counted.map(({ hourMs }) => hourMs)).toEqual([START - 1_800_000, NEXT_MONTH]);
    expect(counted.reduce(sumOf, NO_USE)).toEqual(amountsOf(span, START, endMs));
    expect(await store().usage.listOpen()).toEqual([]);
    expect(await store().usage.useOf("default", NEXT_MONTH)).toEqual({
      containers: 0,
      gpuMilli: 0,
      monthMicroUsd: costOf(amountsOf(span, NEXT_MONTH, endMs)),
    });
  });

  it("has an open one as far as its server's clock, which never goes back", async () => {
    const { usage } = store();
    await usage.beat("one", START - 60_000);
    await usage.open(aSpan("co_1"));
    expect(await usage.listOpen()).toMatchObject([{ untilMs: START, isLost: false }]);
    await usage.beat("one", START + 9_000);
    await usage.beat("one", START + 8_000);
    await usage.beat("two", START + 99_000);
    expect(await usage.listOpen("default")).toEqual([
      { ...aSpan("co_1"), untilMs: START + 9_000, isLost: false },
    ]);
    const { monthMicroUsd } = await usage.useOf("default", START);
    expect(monthMicroUsd).toBe(costOf(amountsOf(aSpan("co_1"), START, START + 9_000)));
    expect(await usage.listOpen("ws_other")).toEqual([]);
  });

  it("keeps what a dead server left where its clock stood, until the container is found", async () => {
    const { usage } = store();
    for (const containerId of ["co_1", "co_2"]) await usage.open(aSpan(containerId));
    await usage.open(aSpan("co_3", { serverId: "two" }));
    await usage.beat("one", START + 5_000);
    const again = (await reopen()).usage;
    await again.loseOf("one");
    await again.beat("one", START + 60_000);
    await again.loseOf("one");
    const untils = async () =>
      (await again.listOpen()).map(({ untilMs, isLost }) => [untilMs - START, isLost]);
    expect(await untils()).toEqual([
      [5_000, true],
      [5_000, true],
      [0, false],
    ]);
    await again.resume(aSpan("co_1", { startedAtMs: START + 50_000 }));
    await again.resume(aSpan("co_4", { startedAtMs: START + 50_000 }));
    expect(await untils()).toEqual([
      [60_000, false],
      [5_000, true],
      [0, false],
      [60_000, false],
    ]);
    const [first] = await again.listOpen();
    expect(first?.startedAtMs).toBe(START);
  });

  it("forgets what never ran, and counts nothing of it", async () => {
    const { usage } = store();
    await usage.open(aSpan("co_1"));
    await usage.cancel("co_1");
    await usage.end("co_1", START + 1_000);
    expect(await hours()).toEqual([]);
  });
}

/** Declares the suite of what is used beyond what is reserved. */
export function testExtraUse({ store, reopen }: OpenBench): void {
  const hours = async () => store().usage.hours("default", 0, START * 2);

  it("counts use beyond what is reserved by the largest sum that was told, in the hour of the telling", async () => {
    const { usage } = store();
    const span = aSpan("co_1");
    await usage.open(span);
    const early = { cpuMs: 9_000, memoryMiBSeconds: 70 };
    const late = { cpuMs: 40_000_001, memoryMiBSeconds: 9_999_999 };
    const told = (sum: typeof early) => [{ containerId: "co_1", ...sum }] as const;
    await usage.used([...told(early), ...told(early)], START);
    // One that was lost is in the next; one that comes late, or twice, adds nothing.
    await usage.used([{ containerId: "co_none", ...late }, ...told(late)], NEXT_MONTH);
    await (await reopen()).usage.used(told(early), NEXT_MONTH);
    await store().usage.used([...told(late), ...told(late)], NEXT_MONTH);
    const [first, second] = await hours();
    expect(first).toMatchObject(extraAmountsOf(span.rates, NO_EXTRA, early));
    expect(second).toMatchObject(extraAmountsOf(span.rates, early, late));
    const extra = extraAmountsOf(span.rates, NO_EXTRA, late);
    expect((await hours()).reduce(sumOf, NO_USE)).toEqual(extra);
    expect((await store().usage.useOf("default", NEXT_MONTH)).monthMicroUsd).toBe(
      costOf(extraAmountsOf(span.rates, early, late)),
    );
    await store().usage.end("co_1", START + 5_000);
    await store().usage.used([{ containerId: "co_1", cpuMs: 9e9, memoryMiBSeconds: 9e9 }], START);
    const whole = sumOf(extra, amountsOf(span, START, START + 5_000));
    expect((await hours()).reduce(sumOf, NO_USE)).toEqual(whole);
  });

  it("takes the first sum of a container that it had lost as where its sums begin", async () => {
    const { usage } = store();
    const told = (cpuMs: number) => [{ containerId: "co_1", cpuMs, memoryMiBSeconds: 0 }] as const;
    await usage.open(aSpan("co_1"));
    await usage.used(told(5_000), START);
    // Its node was away for long; its span was ended, and it is found again.
    await usage.end("co_1", START);
    const counted = (await hours()).reduce(sumOf, NO_USE);
    await usage.resume(aSpan("co_1"));
    await usage.used(told(8_000), START);
    expect((await hours()).reduce(sumOf, NO_USE)).toEqual(counted);
    await usage.used(told(9_000), START);
    const { cpuMs } = (await hours()).reduce(sumOf, NO_USE);
    expect(cpuMs).toBe(6_000);
    // One whose server started anew goes on where it was.
    await usage.loseOf("one");
    await usage.resume(aSpan("co_1"));
    await usage.used(told(9_500), START);
    expect((await hours()).reduce(sumOf, NO_USE).cpuMs).toBe(6_500);
  });
}

/** Declares the suite of quotas. */
export function testQuotas({ store, reopen }: OpenBench): void {
  it("oversells no quota to those who ask at the same time", async () => {
    const { usage, workspaces } = store();
    await workspaces.add({ workspaceId: "ws_2", name: "two", createdAtMs: 1 });
    await usage.setQuotas("default", { containersMax: 5, gpusMax: 2 });
    const ask = async (workspaceId: string) =>
      Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          usage.open(aSpan(`${workspaceId}_${index}`, { workspaceId })),
        ),
      );
    const [limited, free] = await Promise.all([ask("default"), ask("ws_2")]);
    expect(limited.filter(({ kind }) => kind === "opened")).toHaveLength(4);
    expect(free.every(({ kind }) => kind === "opened")).toBe(true);
    expect(await usage.useOf("default", START)).toMatchObject({ containers: 4, gpuMilli: 2_000 });
    const none = { gpuMilli: 0 };
    expect(await usage.open(aSpan("co_5", none))).toEqual({ kind: "opened" });
    expect(await usage.open(aSpan("co_6", none))).toMatchObject({ kind: "refused" });
    await usage.end("co_5", START + 1);
    expect(await usage.open(aSpan("co_6", none))).toEqual({ kind: "opened" });
  });

  it("stops a workspace at its month's limit, what still runs included, and goes on in the next", async () => {
    const { usage } = store();
    const first = aSpan("co_1");
    await usage.open(first);
    const limit = costOf(amountsOf(first, START, START + 600_000));
    await usage.setQuotas("default", { microUsdPerMonthMax: limit - 7, freeMicroUsdPerMonth: 7 });
    const tryAt = async (atMs: number) =>
      (await usage.open(aSpan(`co_at_${atMs}`, { startedAtMs: atMs }))).kind;
    await usage.beat("one", START + 500_000);
    expect(await tryAt(START + 500_000)).toBe("opened");
    await usage.cancel(`co_at_${START + 500_000}`);
    await usage.beat("one", START + 600_000);
    expect(await tryAt(START + 600_000)).toBe("refused");
    await usage.end("co_1", START + 600_000);
    expect(await tryAt(START + 700_000)).toBe("refused");
    expect(await tryAt(NEXT_MONTH)).toBe("opened");
    expect(await (await reopen()).usage.quotas("default")).toEqual({
      microUsdPerMonthMax: limit - 7,
      freeMicroUsdPerMonth: 7,
    });
  });
}

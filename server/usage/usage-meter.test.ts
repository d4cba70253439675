import { expect, test } from "vitest";
import type { Node } from "../../core/index.ts";
import { createManualClock } from "../../providers/fake/index.ts";
import type { LiveFunction } from "../calls/function-table.ts";
import { openRecordStore } from "../store/sqlite/open.ts";
import { catalogRates } from "./rates.ts";
import { UsageMeter } from "./usage-meter.ts";

test("a container that outlived its server is metered on, however soon its node is settled", async () => {
  const store = openRecordStore(":memory:");
  const clock = createManualClock(Date.UTC(2026, 0, 10));
  const open = (): UsageMeter =>
    new UsageMeter({
      store,
      clock,
      serverId: "host:/data",
      rates: catalogRates(),
      onError: (error) => {
        throw error;
      },
      onNear: () => undefined,
    });
  // What the meter reads of them.
  const node = { nodeId: "no_1" } as unknown as Node;
  const live = {
    ...{ workspaceId: "default", app: "demo", codeName: "f", gpuCount: 0 },
    ...{ needs: { cpuMilli: 1_000, memoryMiB: 1_024 }, spec: { tags: {} } },
  } as unknown as LiveFunction;
  const startedAtMs = clock.nowMs();
  const of = (containerId: string) => ({ containerId, live, nodeId: "no_1", startedAtMs });
  const first = open();
  await first.open(of("lives"), node);
  await first.open(of("ended"), node);
  await first.beat(() => true);

  await clock.advance(60_000);
  const next = open();
  await next.recover(() => true);
  next.resume(of("lives"), node);
  await next.settleNode("no_1");
  const spans = await store.usage.listOpen("default");
  expect(spans).toMatchObject([{ containerId: "lives", isLost: false }]);

  await clock.advance(60_000);
  next.ended("lives");
  await next.beat(() => true);
  const hours = await store.usage.hours("default", 0, clock.nowMs() + 1);
  expect(hours.reduce((sum, { containerMs }) => sum + containerMs, 0)).toBe(120_000);
  await store.close();
});

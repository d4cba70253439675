import { afterEach, expect, test } from "vitest";
import { TestFleet } from "./test-fleet.ts";
import { WorkMeter } from "./work-meter.ts";

const GPU = { gpu: "H100", scaledownWindowMs: 1_200_000 } as const;

let fleet = new TestFleet();

afterEach(async () => {
  expect(fleet.errors).toEqual([]);
  await fleet.close();
  fleet = new TestFleet();
});

const read = (meter: WorkMeter) => meter.read(fleet.containers.all(), fleet.clock.now);

test("arrivals count once, and as missed only while a container waits for a node too long", async () => {
  const meter = new WorkMeter();
  const live = await fleet.deploy("slow", GPU);
  read(meter);
  await fleet.call(live, 3);
  await fleet.round();
  expect(fleet.containers.all().length).toBeGreaterThan(0);
  fleet.clock.now += 1_000;
  expect(read(meter)).toMatchObject({ started: 3, missed: 0 });
  fleet.clock.now += 3_000;
  await fleet.call(live, 2);
  fleet.clock.now += 1_000;
  expect(read(meter)).toMatchObject({ started: 2, missed: 2 });
  fleet.clock.now += 1_000;
  expect(read(meter)).toMatchObject({ started: 0, missed: 0 });
});

test("work is known by its arrivals once enough inputs have run, and by its containers before", async () => {
  const meter = new WorkMeter();
  const live = await fleet.deploy("busy", { ...GPU, maxContainers: 4 });
  const agent = await fleet.add({ nodeId: "no_1", gpuCount: 4 });
  agent.runMs = 2_000;
  await fleet.call(live, 4);
  await fleet.until(() => agent.held.size > 0, "containers run");
  expect(read(meter).work[0]?.load).toBeUndefined();
  await fleet.until(() => {
    agent.answer();
    return live.dispatcher.serviceMs !== undefined;
  }, "the run time is known");
  const [work] = read(meter).work;
  expect(work?.containers).toBe(fleet.of(live).length);
  expect(work?.load).toMatchObject({
    serviceMs: 2_000,
    concurrency: 1,
    floor: 0,
    maxContainers: 4,
  });
});

import { expect, test } from "vitest";
import { settled } from "../fake/clock.ts";
import { TestContainer } from "./test-container.ts";

test("one with exit hooks is asked to leave and killed when its grace is over", async () => {
  const one = new TestContainer();
  await one.start();
  one.sandbox.say({ type: "ready", leaves: true });
  await settled();
  one.push("a");
  one.container.stop(3_000);
  await one.pass(900);
  one.container.stop(3_000);
  await one.answer("a");
  await one.pass(2_000);
  expect(one.sandbox.kills).toBe(0);
  expect(one.reported.results).toMatchObject([{ inputId: "a" }]);
  expect(one.sandbox.told.filter(({ header }) => header.type === "leave")).toHaveLength(1);
  await one.pass(100);
  await one.running;
  expect(one.reported.exits).toMatchObject([{ kind: "stopped", inputIds: [] }]);
});

test("one with exit hooks or volumes says that its end takes time, and no other does", async () => {
  const plain = new TestContainer();
  const hooked = new TestContainer();
  const volume = { volumeId: "vo_1", name: "v", path: "/v", version: 1, grant: "g" };
  const mounts = { volumes: [volume] };
  const mounted = new TestContainer(undefined, mounts);
  for (const one of [plain, hooked, mounted]) {
    await one.start();
    one.sandbox.say({ type: "ready", leaves: one === hooked });
    await settled();
  }
  expect(plain.container.held).not.toHaveProperty("endsSlowly");
  expect(hooked.container.held).toMatchObject({ endsSlowly: true });
  expect(mounted.container.held).toMatchObject({ endsSlowly: true });
});

test("one with exit hooks is killed at once when there is no grace or it is not up yet", async () => {
  const ready = new TestContainer();
  await ready.start();
  ready.sandbox.say({ type: "ready", leaves: true });
  await settled();
  ready.container.stop(3_000);
  ready.container.stop(0);
  await ready.running;
  const starting = new TestContainer();
  await starting.start();
  starting.container.stop(3_000);
  await starting.running;
  for (const { reported } of [ready, starting]) {
    expect(reported.exits).toMatchObject([{ kind: "stopped" }]);
  }
});

import { describe, expect, test } from "vitest";
import { settled } from "../fake/clock.ts";
import { CODE, TestContainer } from "./test-container.ts";

describe("a sandbox that hangs", () => {
  const SLOW = { startupTimeoutMs: 3_600_000 } as const;

  test("is ended a minute after it was given its code, and nobody's code is to blame", async () => {
    const one = new TestContainer(undefined, SLOW);
    await one.start();
    await one.pass(60_000);
    expect(one.sandbox.kills).toBe(0);
    await one.pass(1);
    await one.running;
    expect(one.reported.exits).toMatchObject([
      {
        kind: "startup_failed",
        message: "the container could not start: its sandbox did not come up within 60000 ms",
      },
    ]);
    expect(one.reported.exits[0]).not.toHaveProperty("error");
  });

  test("is none when its runner has begun to load code that takes long", async () => {
    const one = new TestContainer(undefined, SLOW);
    await one.start();
    one.sandbox.say({ type: "begun" });
    await settled();
    await one.pass(3_600_000);
    expect(one.sandbox.kills).toBe(0);
    one.sandbox.say({ type: "ready" });
    await settled();
    expect(one.container.isReady).toBe(true);
  });

  test("is none while its code is on the way", async () => {
    const code = Promise.withResolvers<Uint8Array>();
    const one = new TestContainer(() => code.promise, SLOW);
    await one.start();
    await one.pass(600_000);
    expect(one.sandbox.kills).toBe(0);
    code.resolve(CODE);
    await settled();
    await one.pass(60_001);
    expect(one.sandbox.kills).toBe(1);
  });
});

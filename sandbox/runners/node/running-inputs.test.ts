import { expect, test } from "vitest";
import { RunningInputs, type RunningInput } from "./running-inputs.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("one at a time is the present one for all that happens while it runs", async () => {
  const running = new RunningInputs();
  const seen: (string | undefined)[] = [];
  await running.run("a", async () => {
    seen.push(running.present?.inputId);
    expect(running.hasRoom).toBe(false);
    await turn();
    seen.push(running.present?.inputId);
  });
  seen.push(running.present?.inputId);
  expect(seen).toEqual(["a", "a", undefined]);
});

test("of several at once each knows its own code, also in callbacks, until it has ended", async () => {
  const running = new RunningInputs();
  running.max = 3;
  const seen = new Map<string, (string | undefined)[]>();
  const late: Promise<unknown>[] = [];
  const body = async ({ inputId }: RunningInput): Promise<void> => {
    const own: (string | undefined)[] = [];
    seen.set(inputId, own);
    for (let step = 0; step < 3; step += 1) {
      own.push(running.present?.inputId);
      await turn();
    }
    late.push(
      turn()
        .then(turn)
        .then(() => own.push(running.present?.inputId)),
    );
  };
  await Promise.all(["a", "b", "c"].map((inputId) => running.run(inputId, body)));
  await Promise.all(late);
  for (const [inputId, own] of seen) expect(own).toEqual([inputId, inputId, inputId, undefined]);
  expect(running.present).toBeUndefined();
});

test("there is room for as many as may run", async () => {
  const running = new RunningInputs();
  running.max = 2;
  const gate = Promise.withResolvers<undefined>();
  const wait = async (): Promise<void> => {
    await gate.promise;
  };
  const first = running.run("a", wait);
  expect(running.hasRoom).toBe(true);
  const second = running.run("b", wait);
  expect(running.hasRoom).toBe(false);
  gate.resolve(undefined);
  await Promise.all([first, second]);
  expect(running.hasRoom).toBe(true);
});

test("shares of the time add up to the time in which anything ran", async () => {
  let nowMs = 100;
  const running = new RunningInputs(() => nowMs);
  running.max = 2;
  const gates = { a: Promise.withResolvers<undefined>(), b: Promise.withResolvers<undefined>() };
  const times = new Map<string, unknown>();
  const begin = (inputId: "a" | "b"): Promise<void> =>
    running.run(inputId, async (input) => {
      await gates[inputId].promise;
      times.set(inputId, running.timesOf(input));
    });
  const a = begin("a");
  nowMs += 10;
  const b = begin("b");
  nowMs += 8;
  gates.a.resolve(undefined);
  await a;
  nowMs += 5;
  gates.b.resolve(undefined);
  await b;
  expect(times.get("a")).toEqual({ runMs: 18, busyMs: 14 });
  expect(times.get("b")).toEqual({ runMs: 13, busyMs: 9 });
});

test("one at a time has all of its time for itself", async () => {
  let nowMs = 0;
  const running = new RunningInputs(() => nowMs);
  await running.run("a", async (input) => {
    nowMs = 7;
    await turn();
    expect(running.timesOf(input)).toEqual({ runMs: 7 });
  });
});
